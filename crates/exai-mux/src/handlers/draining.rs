//! What clients say while the daemon drains.
//!
//! Nothing of it goes to a server any more. Clients that are told at this moment that their lists are not to be had drop
//! the whole server for the rest of their session, so what is known is the answer, though it may be old: the next daemon
//! tells what has changed.

use exai_proto::{Id, Kind as Shape, Message, answer};

use crate::client::{Introduction, Session};
use crate::router::Router;
use crate::router::now::Now;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, Endpoint};
use crate::types::list_kind::Kind;

impl Router {
    /// Answers a request from memory, if it can be answered so. What is no request goes its usual way: it may end
    /// something that is under way.
    pub(crate) fn late(&mut self, client_id: ClientId, message: Message, now: &mut Now<'_>) {
        let Shape::Request { id, method, params } = message.kind() else {
            return self.from_client(client_id, message, now);
        };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        client.calls += 1;
        let endpoint = client.endpoint.clone();
        let own_id = Id::from_json(message.at(id));
        let method = message.str_at(method);
        let answered = match method {
            _ if Router::answer_itself(client_id, &own_id, method, now) => true,
            "initialize" => {
                let introduction = params.clone().and_then(|params| Introduction::of(&message, params));
                self.introduce_late(client_id, &endpoint, introduction, &own_id, now)
            }
            method => Kind::of_method(method)
                .filter(|_| self.is_introduced(client_id))
                .is_some_and(|kind| self.list_late(client_id, &endpoint, kind, &message, now)),
        };
        if !answered {
            now.effects.push(Effect::Unserved { client: client_id, id: own_id });
        }
    }

    fn is_introduced(&self, client: ClientId) -> bool {
        self.clients.get(client).is_some_and(|client| client.introduction().is_some())
    }

    fn introduce_late(
        &mut self,
        client_id: ClientId,
        endpoint: &Endpoint,
        introduction: Option<Introduction>,
        id: &Id,
        now: &mut Now<'_>,
    ) -> bool {
        let Some(introduction) = introduction else {
            now.refuse(client_id, id, -32602, "initialize needs a protocolVersion");
            return true;
        };
        let said = match endpoint {
            Endpoint::All => None,
            Endpoint::One(server) => match self.servers.get(server).and_then(|server| server.said.clone()) {
                Some(said) => Some(said),
                None => return false,
            },
        };
        if let Some(client) = self.clients.get_mut(client_id) {
            client.session = Session::Open(introduction);
        }
        match said {
            Some(said) => self.replay_initialize(client_id, id, &said, now),
            None => self.introduce_all(client_id, id, now),
        }
        true
    }

    fn list_late(
        &mut self,
        client: ClientId,
        endpoint: &Endpoint,
        kind: Kind,
        message: &Message,
        now: &mut Now<'_>,
    ) -> bool {
        let Endpoint::One(server) = endpoint else {
            let Shape::Request { id, .. } = message.kind() else { return false };
            let id = Id::from_json(message.at(id));
            let result = self.merged(kind);
            now.answer(client, id.clone(), answer::result(&id, &result));
            return true;
        };
        self.list_from_memory(client, server, message, now)
    }
}
