//! The configuration as it changes, and what is started and stopped for its sake.

use std::collections::BTreeSet;
use std::sync::Arc;

use exai_proto::answer;

use crate::catalogue::{Catalogue, KINDS};
use crate::client::Client;
use crate::event::{About, ClientId, Down, Effect, Endpoint, InstanceId};
use crate::health::Health;
use crate::instance::Offer;
use crate::policy::{Policy, Share, ShareKey};
use crate::router::{Now, Router, Server};
use crate::traits::Measured;

impl Router {
    pub(crate) fn configured(&mut self, policies: Vec<Policy>, now: &mut Now<'_>) {
        let first = self.servers.is_empty();
        let mut old = std::mem::take(&mut self.servers);
        let mut changed = false;
        let mut kept = Vec::new();
        for policy in policies {
            let known = old.iter().position(|server| server.policy.name == policy.name);
            match known.map(|at| old.swap_remove(at)) {
                Some(server) if server.policy.revision == policy.revision => {
                    changed |= server.policy.tools != policy.tools;
                    kept.push(Server { policy, ..server });
                }
                Some(server) => {
                    changed = true;
                    let next_number = server.next_number;
                    old.push(server);
                    kept.push(Server { next_number, ..Server::new(policy) });
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
            let orphaned = self.retire(&name, gone.policy.one_at_a_time, now);
            self.adopt(&name, orphaned, now);
            self.tell_changed(&gone, now);
        }
        self.start_wanted(now);
        for client in self.all_clients() {
            self.tell_repeatable(client, now);
        }
        if changed && !first {
            for client in self.aggregating() {
                for kind in [KINDS[0], KINDS[1], KINDS[2]] {
                    now.to_client(client, answer::notification(kind.changed()), About::Session);
                }
            }
        }
    }

    /// Tells those who use a server alone that it is another now.
    pub(crate) fn tell_changed(&mut self, old: &Server, now: &mut Now<'_>) {
        let Some(said) = &old.said else { return };
        let own = |endpoint: &Endpoint| matches!(endpoint, Endpoint::One(name) if *name == old.policy.name);
        for id in self.all_clients() {
            let Some(client) = self.clients.get(&id) else { continue };
            if !own(&client.endpoint) || client.introduction().is_none() {
                continue;
            }
            for kind in [KINDS[0], KINDS[1], KINDS[2]] {
                if said.offer(kind) == Offer::Announced {
                    now.to_client(id, answer::notification(kind.changed()), About::Session);
                }
            }
        }
    }

    /// Whether a server should run though nobody asks anything of it: it is eager, or somebody has subscribed to
    /// what it had to tell before it ended.
    pub(crate) fn is_wanted(&self, server: &Server) -> bool {
        let name = &server.policy.name;
        let running = || self.instances.values().any(|one| one.server == *name && !one.retiring);
        let waits = |client| {
            self.clients.get(client).is_some_and(|client: &Client| client.instance_of(name).is_none())
        };
        server.interrupted.iter().any(waits) || (is_eager(&server.policy) && !running())
    }

    /// Starts what is wanted and may be started. An eager server has one instance, as for a client without
    /// capabilities.
    pub(crate) fn start_wanted(&mut self, now: &mut Now<'_>) {
        let may_start = |server: &&Server| server.health.held_back(now.time).is_none();
        let wanted = self.servers.iter().filter(may_start).filter(|server| self.is_wanted(server));
        let wanted: Vec<(Arc<str>, Vec<ClientId>, bool)> = wanted
            .map(|server| {
                let clients = server.interrupted.iter().copied().collect();
                (server.policy.name.clone(), clients, is_eager(&server.policy))
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
            if eager && !self.instances.values().any(|one| one.server == server && !one.retiring) {
                let key = ShareKey::common("{}");
                self.instance_with(&server, key, now);
            }
        }
    }

    pub(crate) fn restart(&mut self, server: &str, now: &mut Now<'_>) {
        let why = Down::because("was restarted");
        self.stop_instances(server, &why, now);
        if let Some(server) = self.server_mut(server) {
            server.health.forgive();
        }
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
            self.forget(id, why, now);
            now.effects.push(Effect::Stop { instance: id });
        }
    }
}

fn is_eager(policy: &Policy) -> bool {
    policy.eager && policy.share != Share::Client
}

impl Server {
    pub(crate) fn new(policy: Policy) -> Self {
        Server {
            policy,
            catalogue: Catalogue::default(),
            health: Health::default(),
            next_number: 1,
            said: None,
            measured: Measured::default(),
            interrupted: BTreeSet::new(),
            repeatable: BTreeSet::new(),
        }
    }
}
