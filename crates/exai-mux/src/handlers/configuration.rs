//! The configuration as it changes.

use exai_proto::answer;

use crate::router::Router;
use crate::router::now::Now;
use crate::router::servers::Reconfiguration;
use crate::types::effect::About;
use crate::types::ids::Endpoint;
use crate::types::initialize_result::{Offer, Ready};
use crate::types::list_kind::CHANGING;
use crate::types::policy::Policy;

impl Router {
    pub(crate) fn configured(&mut self, policies: Vec<Policy>, now: &mut Now<'_>) {
        let Reconfiguration { replaced, refiltered, changes_lists } = self.servers.replace_policies(policies);
        for instance in self.instances.iter_mut() {
            if let Some(server) = self.servers.get(&instance.server) {
                instance.call_timeout = server.policy.call_timeout;
            }
        }
        for gone in replaced {
            let name = gone.policy.name.clone();
            // Where only one can run, the next would wait for the end of all that is under way.
            let alone = |policy: &Policy| policy.one_at_a_time;
            let at_once =
                alone(&gone.policy) || self.servers.get(&name).is_some_and(|new| alone(&new.policy));
            let orphaned = self.retire(&name, at_once, now);
            self.adopt(&name, orphaned, now);
            self.tell_changed(&name, gone.said.as_ref(), now);
        }
        for name in refiltered {
            let said = self.servers.get(&name).and_then(|server| server.said.clone());
            self.tell_changed(&name, said.as_ref(), now);
        }
        self.start_wanted(now);
        for client in self.clients.ids() {
            self.tell_repeatable(client, now);
        }
        if changes_lists {
            for client in self.clients.aggregating_ids() {
                for kind in CHANGING {
                    self.tell_changed_list(client, kind, now);
                }
            }
        }
    }

    /// Tells those who use a server alone that its lists are others now. `said`: what they were told of it.
    fn tell_changed(&mut self, server: &str, said: Option<&Ready>, now: &mut Now<'_>) {
        let Some(said) = said else { return };
        let own = |endpoint: &Endpoint| matches!(endpoint, Endpoint::One(name) if **name == *server);
        for id in self.clients.ids() {
            let Some(client) = self.clients.get(id) else { continue };
            if !own(&client.endpoint) || client.introduction().is_none() {
                continue;
            }
            for kind in CHANGING {
                if said.offer(kind) == Offer::Announced {
                    now.to_client(id, answer::notification(kind.changed()), About::Session);
                }
            }
        }
    }
}
