//! The configuration as it changes, and what is started and stopped for its sake.

use std::collections::BTreeSet;
use std::sync::Arc;

use exai_proto::answer;

use crate::catalogue::{CHANGING, Catalogue, KINDS};
use crate::event::{About, ClientId, Down, Effect, Endpoint, InstanceId};
use crate::health::Health;
use crate::instance::{Offer, Ready};
use crate::listing::Listing;
use crate::news::Changes;
use crate::policy::{Policy, Share, ShareKey};
use crate::router::{Now, Router, Server};
use crate::traits::Measured;

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

    /// Whether a server should run though nobody asks anything of it: it is eager, or somebody has subscribed to
    /// what it had to tell before it ended.
    pub(crate) fn is_wanted(&self, server: &Server) -> bool {
        self.interrupted_by(server).next().is_some()
            || (is_eager(&server.policy) && !self.is_running(&server.policy.name))
    }

    /// The subscribers that the last run has left behind and that no other serves yet.
    fn interrupted_by(&self, server: &Server) -> impl Iterator<Item = ClientId> {
        let waits = move |id: &ClientId| {
            self.clients.get(id).is_some_and(|client| client.instance_of(&server.policy.name).is_none())
        };
        server.interrupted.iter().copied().filter(waits)
    }

    fn is_running(&self, server: &str) -> bool {
        self.instances.values().any(|one| &*one.server == server && !one.retiring)
    }

    /// Starts what is wanted and may be started. An eager server has one instance, as for a client without
    /// capabilities.
    pub(crate) fn start_wanted(&mut self, now: &mut Now<'_>) {
        let may_start = |server: &&Server| server.health.held_back(now.time).is_none();
        let wanted = self.servers.iter().filter(may_start).filter(|server| self.is_wanted(server));
        let wanted: Vec<(Arc<str>, Vec<ClientId>, bool)> = wanted
            .map(|server| {
                (server.policy.name.clone(), self.interrupted_by(server).collect(), is_eager(&server.policy))
            })
            .collect();
        for (server, interrupted, eager) in wanted {
            for client in interrupted {
                let key = self.share_key(client, &server);
                match key.and_then(|key| self.instance_with(&server, key, now)) {
                    Some(instance) => self.attach(client, instance, now),
                    None => {
                        // There are too many instances: it finds out with its next request.
                        if let Some(server) = self.server_mut(&server) {
                            server.interrupted.remove(&client);
                        }
                    }
                }
            }
            if eager && !self.is_running(&server) {
                let key = ShareKey::common("{}");
                self.instance_with(&server, key, now);
            }
        }
    }

    /// Starts a server for nobody in particular and asks for its lists, so that they are known when somebody comes. It is
    /// stopped like any other that nobody uses.
    pub(crate) fn warm(&mut self, server: &str, now: &mut Now<'_>) {
        let Some(known) = self.server(server) else { return };
        // Where each client has its own, this one would be nobody's.
        if known.policy.share == Share::Client || known.health.held_back(now.time).is_some() {
            return;
        }
        let of_server = self.instances.iter().filter(|(_, one)| &*one.server == server && !one.retiring);
        let running = of_server.map(|(&id, _)| id).min();
        let instance = running.or_else(|| self.instance_with(server, ShareKey::common("{}"), now));
        for kind in KINDS {
            if let Some(instance) = instance {
                self.list(instance, kind, now);
            }
        }
    }

    pub(crate) fn restart(&mut self, server: &str, now: &mut Now<'_>) {
        // First: what waits for its turn is sent to the next run.
        if let Some(server) = self.server_mut(server) {
            server.health.forgive();
            server.listing.became_ready();
        }
        self.stop_instances(server, &Down::because("was restarted"), now);
    }

    pub(crate) fn stop_instances(&mut self, server: &str, why: &Down, now: &mut Now<'_>) {
        let mut ids: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| &*instance.server == server)
            .map(|(&id, _)| id)
            .collect();
        ids.sort();
        for id in ids {
            self.stop_instance(id, why, now);
        }
    }

    /// Lets go of an instance and has it stopped.
    pub(crate) fn stop_instance(&mut self, id: InstanceId, why: &Down, now: &mut Now<'_>) {
        self.forget(id, why, now);
        now.effects.push(Effect::Stop { instance: id, reason: why.reason.clone() });
    }
}

/// Whether it runs for nobody in particular.
pub(crate) fn is_eager(policy: &Policy) -> bool {
    policy.eager && policy.share != Share::Client
}

impl Server {
    pub(crate) fn new(policy: Policy) -> Self {
        Server {
            policy,
            catalogue: Catalogue::default(),
            health: Health::default(),
            listing: Listing::default(),
            changes: Changes::default(),
            next_number: 1,
            said: None,
            measured: Measured::default(),
            interrupted: BTreeSet::new(),
            repeatable: BTreeSet::new(),
        }
    }
}
