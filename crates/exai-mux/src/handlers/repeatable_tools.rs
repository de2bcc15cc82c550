//! Tells the links of clients which tools may be called a second time when the answer to the first call was lost.
//! `server::repeatable_tools` says which these are.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::Server;
use crate::types::effect::Effect;
use crate::types::ids::ClientId;
use crate::types::names;

impl Router {
    /// Tells the link of a client which tools may be repeated, if these have changed.
    pub(crate) fn announce_repeatable(&mut self, client_id: ClientId, cx: &mut EventContext<'_>) {
        let Some(client) = self.clients.get(client_id) else { return };
        let is_aggregated = client.endpoint.is_aggregated();
        let named = |server: &Server, tool: &String| {
            if is_aggregated { names::aggregated(&server.policy.name, tool) } else { tool.clone() }
        };
        let seen = self.servers.iter_seen(client);
        let tools: BTreeSet<String> = seen
            .flat_map(|server| server.offers_twice(client).map(move |tool| named(server, tool)))
            .collect();
        let Some(client) = self.clients.get_mut(client_id) else { return };
        if client.repeatable != tools {
            cx.effects.push(Effect::Repeatable { client: client_id, tools: tools.iter().cloned().collect() });
            client.repeatable = tools;
        }
    }

    /// Does so for all clients that see this server.
    pub(crate) fn announce_repeatable_to_all(&mut self, server: &Arc<str>, cx: &mut EventContext<'_>) {
        for client in self.clients.ids() {
            if self.clients.get(client).is_some_and(|client| client.sees_server(server)) {
                self.announce_repeatable(client, cx);
            }
        }
    }
}
