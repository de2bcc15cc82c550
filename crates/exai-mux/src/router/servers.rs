//! All configured servers.

use std::sync::Arc;

use crate::server::Server;
use crate::types::ids::ClientId;
use crate::types::policy::Policy;

/// All configured servers, in the order of the configuration. What is known of one server is changed through [`Server`].
#[derive(Debug, Default)]
pub(crate) struct Servers {
    all: Vec<Server>,
}

/// What a new configuration has changed.
#[derive(Debug)]
pub(crate) struct Reconfiguration {
    /// Servers that were removed, or are to be started differently, as they were.
    pub(crate) replaced: Vec<Server>,
    /// Servers of which other tools may be used now.
    pub(crate) refiltered: Vec<Arc<str>>,
    /// Whether the lists of all servers together may be others now.
    pub(crate) changes_lists: bool,
}

impl Servers {
    pub(crate) fn get(&self, name: &str) -> Option<&Server> {
        self.all.iter().find(|server| &*server.policy.name == name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Server> {
        self.all.iter_mut().find(|server| &*server.policy.name == name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.all.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        self.all.iter_mut()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all.iter().map(|server| &server.policy.name)
    }

    /// Takes a new configuration. What is known of a server stays, unless the server is to be started differently.
    pub(crate) fn replace_policies(&mut self, policies: Vec<Policy>) -> Reconfiguration {
        let was_empty = self.all.is_empty();
        let mut old = std::mem::take(&mut self.all);
        let mut refiltered = Vec::new();
        let mut changed = false;
        for policy in policies {
            let known = old.iter().position(|server| server.policy.name == policy.name);
            match known.map(|at| old.swap_remove(at)) {
                Some(mut server) if server.policy.revision == policy.revision => {
                    if server.policy != policy {
                        // Whatever was changed may be the cure.
                        server.health.reset();
                    }
                    if server.policy.tools != policy.tools {
                        changed = true;
                        refiltered.push(policy.name.clone());
                    }
                    self.all.push(Server { policy, ..server });
                }
                Some(server) => {
                    changed = true;
                    let (next_number, interrupted) = (server.next_number, server.interrupted.clone());
                    old.push(server);
                    self.all.push(Server { next_number, interrupted, ..Server::new(policy) });
                }
                None => {
                    changed = true;
                    self.all.push(Server::new(policy));
                }
            }
        }
        changed |= !old.is_empty();
        Reconfiguration { replaced: old, refiltered, changes_lists: changed && !was_empty }
    }

    /// Forgets what a client was to be told by servers.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        for server in &mut self.all {
            server.catalogue.forget_client(client);
            server.interrupted.remove(&client);
        }
    }
}
