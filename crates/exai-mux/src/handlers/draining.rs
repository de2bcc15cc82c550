//! The messages of clients while the daemon drains.
//!
//! None of them goes to a server. A client that is told now that it cannot have its lists drops the whole server for
//! the rest of the session. So the known list is the answer, though it may be old: the next daemon tells what has
//! changed.

use std::sync::Arc;

use exai_proto::{Id, Kind, Message, answer};

use crate::client::Client;
use crate::dialect::{bridge, legacy};
use crate::handlers::era_refusals::refuse_discover;
use crate::handlers::initialize::NO_PROTOCOL_VERSION;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::client_context::ClientContext;
use crate::types::effect::Effect;
use crate::types::era::Era;
use crate::types::ids::{ClientId, Endpoint};
use crate::types::list_kind::ListKind;
use crate::types::method::Method;

impl Router {
    /// Answers a request from memory, if that is possible. Other messages go their usual way: they may end something
    /// that is under way.
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
        let method = legacy::read_method(message.str_at(method));
        let modern = message.params().filter(|params| params.modern.version.is_some());
        let era = if modern.is_some() { Era::Modern } else { Era::Legacy };
        // Who the client says it is decides what it may see.
        if let Some(params) = modern.filter(|_| method != Method::Initialize)
            && self.read_modern_context(client_id, &message, (&own_id, params), cx).is_none()
        {
            return;
        }
        let answered = match method {
            Method::Discover if era == Era::Modern => {
                self.discover_while_draining(client_id, &endpoint, &own_id, cx)
            }
            Method::List(kind) if era == Era::Modern => {
                self.list_while_draining((client_id, era), &endpoint, kind, &message, cx)
            }
            _ if era == Era::Modern => false,
            _ if Router::answer_itself(client_id, &own_id, method, cx) => true,
            Method::Initialize => {
                let context = legacy::read_initialize(&message, params.clone());
                self.initialize_while_draining(client_id, &endpoint, context, &own_id, cx)
            }
            Method::List(kind) if self.is_initialized(client_id) => {
                self.list_while_draining((client_id, era), &endpoint, kind, &message, cx)
            }
            _ => false,
        };
        if !answered {
            cx.effects.push(Effect::Unserved { client: client_id, id: own_id });
        }
    }

    fn is_initialized(&self, client: ClientId) -> bool {
        self.clients.get(client).is_some_and(|client| client.context().is_some())
    }

    fn initialize_while_draining(
        &mut self,
        client_id: ClientId,
        endpoint: &Endpoint,
        context: Option<ClientContext>,
        id: &Id,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Some(context) = context.map(Arc::new) else {
            cx.refuse(client_id, id, -32602, NO_PROTOCOL_VERSION);
            return true;
        };
        let said = match endpoint {
            Endpoint::All | Endpoint::Several(_) => None,
            Endpoint::One(server) => {
                // Which account a client uses that has no name yet is known only when it has introduced itself.
                let client = self.clients.get(client_id);
                let is_certain =
                    |client: &&Client| client.accounts.is_empty() || client.known_name().is_some();
                let known =
                    client.filter(is_certain).and_then(|client| self.servers.get_seen(client, server));
                match known.and_then(|server| server.offering_for(Era::Legacy).introduction.clone()) {
                    Some(said) => Some(said),
                    None => return false,
                }
            }
        };
        self.open_session(client_id, &context, cx);
        match said {
            Some(said) => {
                cx.answer(client_id, id.clone(), legacy::write_initialize_result(id, &context, &said));
            }
            None => self.initialize_aggregating(client_id, &context, id, cx),
        }
        true
    }

    fn discover_while_draining(
        &mut self,
        client_id: ClientId,
        endpoint: &Endpoint,
        id: &Id,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Endpoint::One(server) = endpoint else {
            if self.offers_modern(client_id) {
                self.answer_own_discover(client_id, id, cx);
            } else {
                refuse_discover(client_id, id, cx);
            }
            return true;
        };
        let client = self.clients.get(client_id);
        let Some(known) = client.and_then(|client| self.servers.get_seen(client, server)) else {
            return false;
        };
        let Some(answer) = known.write_known_discover_result(id) else { return false };
        cx.answer(client_id, id.clone(), answer);
        true
    }

    fn list_while_draining(
        &mut self,
        (client, era): (ClientId, Era),
        endpoint: &Endpoint,
        kind: ListKind,
        message: &Message,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Endpoint::One(server) = endpoint else {
            let Kind::Request { id, .. } = message.kind() else { return false };
            let id = Id::from_json(message.at(id));
            let mut result = self.merge_lists(client, era, kind);
            if era == Era::Modern {
                result = bridge::complete_list(&result);
            }
            cx.answer(client, id.clone(), answer::result(&id, &result));
            return true;
        };
        self.list_from_memory((client, era), server, message, cx)
    }
}
