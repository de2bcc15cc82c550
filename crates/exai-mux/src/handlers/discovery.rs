//! What a server said of itself the last time it ran: good enough to answer with while it starts.
//!
//! A first run of `npx` takes longer than clients wait for `initialize`. So what was known before is their answer,
//! and they are told when a list turns out to be another now.

use exai_proto::{Id, Message, answer, json};

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::discovery::Discovery;
use crate::types::ids::ClientId;
use crate::types::initialize_result::InitializeResult;
use crate::types::list_kind::ListKind;

impl Router {
    /// Takes what was known of a server before this router was there. What it has said since counts more.
    pub(crate) fn learn_discovery(&mut self, server: &str, revision: u64, discovery: Discovery) {
        let Some(server) = self
            .servers
            .get_mut(server)
            .filter(|server| server.initialize_result.is_none() && server.policy.revision == revision)
        else {
            return;
        };
        let Some(ready) = InitializeResult::of(discovery.initialize) else { return };
        server.introduced(ready);
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

    /// Answers a list from what is known, if the message asks for a whole one. The client is told if that turns out
    /// to be wrong.
    pub(crate) fn list_from_memory(
        &mut self,
        client: ClientId,
        server: &str,
        message: &Message,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let exai_proto::Kind::Request { id, method, params } = message.kind() else { return false };
        let Some(kind) = ListKind::of_method(message.str_at(method)) else { return false };
        let first = params
            .as_ref()
            .is_none_or(|params| json::find(message.bytes(), params.clone(), "cursor").is_none());
        let Some(result) =
            self.servers.get(server).filter(|_| first).and_then(|server| server.known_list(kind))
        else {
            return false;
        };
        let id = Id::from_json(message.at(id));
        cx.answer(client, id.clone(), answer::result(&id, &result));
        self.note_pending_list_changed(client, server, kind);
        true
    }
}
