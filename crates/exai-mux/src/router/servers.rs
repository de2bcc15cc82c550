//! All configured servers.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::client::Client;
use crate::server::Server;
use crate::types::ids::ClientId;
use crate::types::policy::Policy;

/// All configured servers, in the order of the configuration. What is known of one server is changed through
/// [`Server`].
#[derive(Debug, Default)]
pub(crate) struct Servers {
    all: Vec<Server>,
}

/// What a new configuration has changed.
#[derive(Debug)]
pub(crate) struct Reconfiguration {
    /// The servers that were removed or must be started differently, as they were before.
    pub(crate) replaced: Vec<Server>,
    /// The servers of which other tools may be used now.
    pub(crate) refiltered: Vec<Arc<str>>,
    /// The servers whose part in the merged lists may have changed.
    pub(crate) with_other_lists: Vec<Arc<str>>,
}

impl Servers {
    pub(crate) fn get(&self, name: &str) -> Option<&Server> {
        self.all.iter().find(|server| &*server.policy.name == name)
    }

    /// The server that a client calls so, if the client may see it.
    pub(crate) fn get_seen(&self, client: &Client, name: &str) -> Option<&Server> {
        self.get(client.accounts.resolve(name)).filter(|server| client.sees_server(&server.policy.name))
    }

    /// The servers that a client may see.
    pub(crate) fn iter_seen<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = &'a Server> {
        self.all.iter().filter(|server| client.sees_server(&server.policy.name))
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

    /// Takes a new configuration. What is known of a server stays, unless the server must be started differently.
    pub(crate) fn replace_policies(&mut self, policies: Vec<Policy>) -> Reconfiguration {
        let was_empty = self.all.is_empty();
        let mut old = std::mem::take(&mut self.all);
        let mut refiltered = Vec::new();
        let mut changed: BTreeSet<Arc<str>> = BTreeSet::new();
        for policy in policies {
            let known = old.iter().position(|server| server.policy.name == policy.name);
            match known.map(|at| old.swap_remove(at)) {
                Some(mut server) if server.policy.revision == policy.revision => {
                    if server.policy != policy {
                        // Whatever was changed may be the cure of a failing server.
                        server.health.reset();
                    }
                    if server.policy.tools != policy.tools {
                        changed.insert(policy.name.clone());
                        refiltered.push(policy.name.clone());
                    }
                    server.eras.pinned = policy.era;
                    self.all.push(Server { policy, ..server });
                }
                Some(server) => {
                    changed.insert(policy.name.clone());
                    let (next_number, interrupted) = (server.next_number, server.interrupted.clone());
                    old.push(server);
                    self.all.push(Server { next_number, interrupted, ..Server::new(policy) });
                }
                None => {
                    changed.insert(policy.name.clone());
                    self.all.push(Server::new(policy));
                }
            }
        }
        changed.extend(old.iter().map(|server| server.policy.name.clone()));
        let with_other_lists = if was_empty { Vec::new() } else { changed.into_iter().collect() };
        Reconfiguration { replaced: old, refiltered, with_other_lists }
    }

    /// Forgets what servers have to tell a client.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        for server in &mut self.all {
            for (_, offering) in server.offerings_mut() {
                offering.catalogue.forget_client(client);
            }
            server.interrupted.remove(&client);
        }
    }
}
