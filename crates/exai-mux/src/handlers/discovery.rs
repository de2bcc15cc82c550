//! Answers from what a server said of itself the last time it ran, while the server starts.
//!
//! The first run of `npx` takes longer than clients wait for `initialize`. So what was known before is their answer,
//! and they are told when a list has changed since.

use exai_proto::{Id, Message, answer, json};

use crate::dialect::legacy;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::discovery::Discovery;
use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;
use crate::types::method::Method;

impl Router {
    /// Learns what an earlier daemon knew of a server. What the server has said since counts more.
    pub(crate) fn learn_discovery(&mut self, server: &str, revision: u64, discovery: Discovery) {
        let Some(server) = self
            .servers
            .get_mut(server)
            .filter(|server| server.initialize_result.is_none() && server.policy.revision == revision)
        else {
            return;
        };
        let Some(ready) = legacy::read_initialize_result(discovery.initialize) else { return };
        server.set_initialize_result(ready);
        for (method, items) in discovery.lists {
            if let Some(kind) =
                ListKind::of_method(&method).filter(|kind| server.catalogue.list(*kind).is_none())
            {
                if kind == ListKind::Tools {
                    server.learn_repeatable(&items);
                }
                server.catalogue.learn(kind, items, None);
            }
        }
    }

    /// Answers a request for a whole list with the known list. The client is told if the list has changed since.
    /// Returns whether it was answered.
    pub(crate) fn list_from_memory(
        &mut self,
        client: ClientId,
        server: &str,
        message: &Message,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let exai_proto::Kind::Request { id, method, params } = message.kind() else { return false };
        let Method::List(kind) = legacy::read_method(message.str_at(method)) else { return false };
        let first = params
            .as_ref()
            .is_none_or(|params| json::find(message.bytes(), params.clone(), "cursor").is_none());
        let Some(result) =
            self.servers.get(server).filter(|_| first).and_then(|server| server.write_known_list(kind))
        else {
            return false;
        };
        let id = Id::from_json(message.at(id));
        cx.answer(client, id.clone(), answer::result(&id, &result));
        self.note_pending_list_changed(client, server, kind);
        true
    }
}
