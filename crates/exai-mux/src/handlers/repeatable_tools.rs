//! Tells the links of clients which tools may be called a second time when the answer to the first call was lost.
//! `server::repeatable_tools` says which these are.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::Server;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, Endpoint};
use crate::types::names;

impl Router {
    /// Tells the link of a client which tools may be repeated, if these have changed.
    pub(crate) fn announce_repeatable(&mut self, client_id: ClientId, cx: &mut EventContext<'_>) {
        let Some(client) = self.clients.get(client_id) else { return };
        let tools: BTreeSet<String> = match &client.endpoint {
            Endpoint::One(name) => {
                self.servers.get(name).into_iter().flat_map(|server| server.offers_twice().cloned()).collect()
            }
            Endpoint::All => {
                let named = |server: &Server, tool: &String| names::aggregated(&server.policy.name, tool);
                let all = self.servers.iter();
                all.flat_map(|server| server.offers_twice().map(move |tool| named(server, tool))).collect()
            }
        };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        if client.repeatable != tools {
            cx.effects.push(Effect::Repeatable { client: client_id, tools: tools.iter().cloned().collect() });
            client.repeatable = tools;
        }
    }

    /// Does so for all clients that can call the tools of this server.
    pub(crate) fn announce_repeatable_to_all(&mut self, server: &Arc<str>, cx: &mut EventContext<'_>) {
        let concerned = |endpoint: &Endpoint| match endpoint {
            Endpoint::All => true,
            Endpoint::One(name) => name == server,
        };
        for client in self.clients.ids() {
            if self.clients.get(client).is_some_and(|client| concerned(&client.endpoint)) {
                self.announce_repeatable(client, cx);
            }
        }
    }
}
