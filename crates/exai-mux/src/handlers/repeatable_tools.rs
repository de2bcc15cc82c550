//! Which tools may be called a second time when the answer to the first call was lost.
//!
//! Those are tools that their server declares read-only or idempotent, if the configuration trusts its word
//! (`ToolAnnotations` of the specification: hints, to be believed of trusted servers only). Whoever keeps a client's
//! link is told of them; names are never interpreted.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::Server;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, Endpoint};
use crate::types::names;

impl Router {
    /// Tells a client's link what may be repeated, if that is not what it was told last.
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

    /// The same for everybody who can call this server's tools.
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
