//! Answers from what a server said of itself the last time it ran, while the server starts.
//!
//! The first run of `npx` takes longer than clients wait for `initialize`. So what was known before is their answer,
//! and they are told when a list has changed since.

use exai_proto::{Id, Message, answer, json};

use crate::dialect::{bridge, legacy, modern};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::discovery::Discovery;
use crate::types::era::Era;
use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;
use crate::types::method::Method;

impl Router {
    /// Learns what an earlier daemon knew of a server. What the server has said since counts more.
    pub(crate) fn learn_discovery(&mut self, server: &str, revision: u64, discovery: Discovery) {
        let Some(offering) = self
            .servers
            .get_mut(server)
            .filter(|server| server.policy.revision == revision)
            .map(|server| server.offering_mut(discovery.era))
            .filter(|offering| offering.introduction.is_none())
        else {
            return;
        };
        let ready = match discovery.era {
            Era::Legacy => legacy::read_initialize_result(discovery.introduction),
            Era::Modern => modern::read_discover_result(discovery.introduction),
        };
        let Some(ready) = ready else { return };
        offering.set_introduction(ready);
        for (method, items) in discovery.lists {
            if let Some(kind) =
                ListKind::of_method(&method).filter(|kind| offering.catalogue.list(*kind).is_none())
            {
                if kind == ListKind::Tools {
                    offering.learn_repeatable(&items);
                }
                offering.catalogue.learn(kind, items, None);
            }
        }
    }

    /// Answers a request for a whole list with the known list. The client is told if the list has changed since.
    /// Returns whether it was answered.
    pub(crate) fn list_from_memory(
        &mut self,
        (client, era): (ClientId, Era),
        server: &str,
        message: &Message,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let exai_proto::Kind::Request { id, method, params } = message.kind() else { return false };
        let Method::List(kind) = legacy::read_method(message.str_at(method)) else { return false };
        let first = params
            .as_ref()
            .is_none_or(|params| json::find(message.bytes(), params.clone(), "cursor").is_none());
        let Some(asking) = self.clients.get(client).filter(|_| first) else { return false };
        let known = self.servers.get_seen(asking, server);
        let Some(mut result) = known.and_then(|server| server.write_known_list(kind, asking, era)) else {
            return false;
        };
        if era == Era::Modern {
            result = bridge::complete_list(&result);
        }
        let id = Id::from_json(message.at(id));
        cx.answer(client, id.clone(), answer::result(&id, &result));
        self.note_pending_list_changed((client, era), server, kind);
        true
    }
}
