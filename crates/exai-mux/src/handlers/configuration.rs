//! A new configuration, and what it changes for clients and instances.

use std::collections::BTreeSet;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::servers::Reconfiguration;
use crate::types::era::Era;
use crate::types::ids::ClientId;
use crate::types::introduction::{Introduction, Offer};
use crate::types::list_kind::ANNOUNCED_LIST_KINDS;
use crate::types::policy::Policy;

impl Router {
    pub(crate) fn apply_configuration(&mut self, policies: Vec<Policy>, cx: &mut EventContext<'_>) {
        let Reconfiguration { replaced, refiltered, with_other_lists } =
            self.servers.replace_policies(policies);
        for instance in self.instances.iter_mut() {
            if let Some(server) = self.servers.get(&instance.server) {
                instance.call_timeout = server.policy.call_timeout;
            }
        }
        for gone in replaced {
            let name = gone.policy.name.clone();
            // Where one instance alone can run, the next would wait until the last has ended all that it works on.
            let alone = |policy: &Policy| policy.one_at_a_time;
            let at_once =
                alone(&gone.policy) || self.servers.get(&name).is_some_and(|new| alone(&new.policy));
            let displaced = self.retire_instances(&name, at_once, cx);
            self.resend_displaced(&name, displaced, cx);
            let said = gone.offering_for(Era::Legacy).introduction.as_ref();
            self.notify_replaced_lists(&name, said, cx);
            self.refuse_unserved_listens(&name, cx);
        }
        for name in refiltered {
            let server = self.servers.get(&name);
            let said = server.and_then(|server| server.offering_for(Era::Legacy).introduction.clone());
            self.notify_replaced_lists(&name, said.as_ref(), cx);
        }
        self.start_wanted_servers(cx);
        for client in self.clients.ids() {
            self.announce_repeatable(client, cx);
        }
        let concerned: BTreeSet<ClientId> =
            with_other_lists.iter().flat_map(|server| self.clients.aggregating_ids(server)).collect();
        for client in concerned {
            for kind in ANNOUNCED_LIST_KINDS {
                self.notify_list_changed(client, kind, cx);
            }
        }
    }

    /// Tells the clients of the endpoint of one server that its lists have changed. `said` is what these clients know
    /// of the server.
    fn notify_replaced_lists(
        &mut self,
        server: &str,
        said: Option<&Introduction>,
        cx: &mut EventContext<'_>,
    ) {
        let Some(said) = said else { return };
        for id in self.clients.ids() {
            let Some(client) = self.clients.get(id) else { continue };
            let is_own = !client.endpoint.is_aggregated() && client.sees_server(server);
            if !is_own {
                continue;
            }
            for kind in ANNOUNCED_LIST_KINDS {
                if said.offer(kind) == Offer::Announced {
                    self.tell_list_changed(id, kind, cx);
                }
            }
        }
    }
}
