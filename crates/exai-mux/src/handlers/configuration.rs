//! The configuration as it changes.

use exai_proto::answer;

use crate::router::Router;
use crate::router::now::Now;
use crate::server::Server;
use crate::types::effect::About;
use crate::types::ids::Endpoint;
use crate::types::initialize_result::{Offer, Ready};
use crate::types::list_kind::CHANGING;
use crate::types::policy::Policy;

impl Router {
    pub(crate) fn configured(&mut self, policies: Vec<Policy>, now: &mut Now<'_>) {
        let first = self.servers.is_empty();
        let mut old = std::mem::take(&mut self.servers);
        let mut changed = false;
        let (mut kept, mut others) = (Vec::new(), Vec::new());
        for policy in policies {
            let known = old.iter().position(|server| server.policy.name == policy.name);
            match known.map(|at| old.swap_remove(at)) {
                Some(mut server) if server.policy.revision == policy.revision => {
                    if server.policy != policy {
                        // Whatever was changed may be the cure.
                        server.health.forgive();
                    }
                    if server.policy.tools != policy.tools {
                        changed = true;
                        others.push(policy.name.clone());
                    }
                    kept.push(Server { policy, ..server });
                }
                Some(server) => {
                    changed = true;
                    let (next_number, interrupted) = (server.next_number, server.interrupted.clone());
                    old.push(server);
                    kept.push(Server { next_number, interrupted, ..Server::new(policy) });
                }
                None => {
                    changed = true;
                    kept.push(Server::new(policy));
                }
            }
        }
        changed |= !old.is_empty();
        self.servers = kept;
        for instance in self.instances.values_mut() {
            if let Some(server) = self.servers.iter().find(|server| server.policy.name == instance.server) {
                instance.call_timeout = server.policy.call_timeout;
            }
        }
        for gone in old {
            let name = gone.policy.name.clone();
            // Where only one can run, the next would wait for the end of all that is under way.
            let alone = |policy: &Policy| policy.one_at_a_time;
            let at_once = alone(&gone.policy) || self.server(&name).is_some_and(|new| alone(&new.policy));
            let orphaned = self.retire(&name, at_once, now);
            self.adopt(&name, orphaned, now);
            self.tell_changed(&name, gone.said.as_ref(), now);
        }
        for name in others {
            let said = self.server(&name).and_then(|server| server.said.clone());
            self.tell_changed(&name, said.as_ref(), now);
        }
        self.start_wanted(now);
        for client in self.all_clients() {
            self.tell_repeatable(client, now);
        }
        if changed && !first {
            for client in self.aggregating() {
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
        for id in self.all_clients() {
            let Some(client) = self.clients.get(&id) else { continue };
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
