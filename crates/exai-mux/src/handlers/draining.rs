//! What clients say while the daemon drains.
//!
//! Nothing of it goes to a server any more. Clients that are told at this moment that their lists are not to be had drop
//! the whole server for the rest of their session, so what is known is the answer, though it may be old: the next daemon
//! tells what has changed.

use exai_proto::{Id, Kind, Message, answer};

use crate::client::{InitializeParams, Session};
use crate::handlers::initialize::NO_PROTOCOL_VERSION;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, Endpoint};
use crate::types::list_kind::ListKind;

impl Router {
    /// Answers a request from memory, if it can be answered so. What is no request goes its usual way: it may end
    /// something that is under way.
    pub(crate) fn answer_while_draining(
        &mut self,
        client_id: ClientId,
        message: Message,
        cx: &mut EventContext<'_>,
    ) {
        let Kind::Request { id, method, params } = message.kind() else {
            return self.from_client(client_id, message, cx);
        };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        client.calls += 1;
        let endpoint = client.endpoint.clone();
        let own_id = Id::from_json(message.at(id));
        let method = message.str_at(method);
        let answered = match method {
            _ if Router::answer_itself(client_id, &own_id, method, cx) => true,
            "initialize" => {
                let initialize_params =
                    params.clone().and_then(|params| InitializeParams::of(&message, params));
                self.initialize_while_draining(client_id, &endpoint, initialize_params, &own_id, cx)
            }
            method => ListKind::of_method(method)
                .filter(|_| self.is_initialized(client_id))
                .is_some_and(|kind| self.list_while_draining(client_id, &endpoint, kind, &message, cx)),
        };
        if !answered {
            cx.effects.push(Effect::Unserved { client: client_id, id: own_id });
        }
    }

    fn is_initialized(&self, client: ClientId) -> bool {
        self.clients.get(client).is_some_and(|client| client.initialize_params().is_some())
    }

    fn initialize_while_draining(
        &mut self,
        client_id: ClientId,
        endpoint: &Endpoint,
        initialize_params: Option<InitializeParams>,
        id: &Id,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Some(initialize_params) = initialize_params else {
            cx.refuse(client_id, id, -32602, NO_PROTOCOL_VERSION);
            return true;
        };
        let said = match endpoint {
            Endpoint::All => None,
            Endpoint::One(server) => {
                match self.servers.get(server).and_then(|server| server.initialize_result.clone()) {
                    Some(said) => Some(said),
                    None => return false,
                }
            }
        };
        if let Some(client) = self.clients.get_mut(client_id) {
            client.session = Session::Open(initialize_params);
        }
        match said {
            Some(said) => self.replay_initialize(client_id, id, &said, cx),
            None => self.initialize_aggregating(client_id, id, cx),
        }
        true
    }

    fn list_while_draining(
        &mut self,
        client: ClientId,
        endpoint: &Endpoint,
        kind: ListKind,
        message: &Message,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Endpoint::One(server) = endpoint else {
            let Kind::Request { id, .. } = message.kind() else { return false };
            let id = Id::from_json(message.at(id));
            let result = self.merge_lists(kind);
            cx.answer(client, id.clone(), answer::result(&id, &result));
            return true;
        };
        self.list_from_memory(client, server, message, cx)
    }
}
