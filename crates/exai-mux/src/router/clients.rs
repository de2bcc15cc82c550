//! All clients.

use std::sync::Arc;

use crate::client::Client;
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId, MintedMap};

/// All clients. What is known of one client is changed through [`Client`].
#[derive(Debug, Default)]
pub(crate) struct Clients {
    all: MintedMap<ClientId, Client>,
}

impl Clients {
    pub(crate) fn add_client(&mut self, id: ClientId, client: Client) {
        self.all.insert(id, client);
    }

    pub(crate) fn remove_client(&mut self, id: ClientId) {
        self.all.remove(&id);
    }

    pub(crate) fn contains(&self, id: ClientId) -> bool {
        self.all.contains_key(&id)
    }

    pub(crate) fn get(&self, id: ClientId) -> Option<&Client> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.all.get_mut(&id)
    }

    /// What the client says of itself. `None` before its session is open.
    pub(crate) fn context(&self, id: ClientId) -> Option<&Arc<ClientContext>> {
        self.all.get(&id)?.context()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.all.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The ids of all clients, oldest first.
    pub(crate) fn ids(&self) -> Vec<ClientId> {
        let mut ids: Vec<ClientId> = self.all.keys().copied().collect();
        ids.sort();
        ids
    }

    /// Whether the client uses an endpoint that unites servers.
    pub(crate) fn is_aggregating(&self, id: ClientId) -> bool {
        self.all.get(&id).is_some_and(|client| client.endpoint.is_aggregated())
    }

    /// The clients that see a server among others, and want to be told of changes, oldest first.
    pub(crate) fn aggregating_ids(&self, server: &str) -> Vec<ClientId> {
        let is_concerned = |client: &Client| {
            client.endpoint.is_aggregated() && client.sees_server(server) && client.may_be_told()
        };
        let mut ids: Vec<ClientId> =
            self.all.iter().filter(|(_, client)| is_concerned(client)).map(|(&id, _)| id).collect();
        ids.sort();
        ids
    }

    /// No client uses this instance any more. Returns those that did, each with the era in which it speaks there,
    /// oldest first.
    pub(crate) fn detach_all(&mut self, instance: InstanceId) -> Vec<(ClientId, Era)> {
        let mut detached = Vec::new();
        for (&id, client) in &mut self.all {
            let attached = client.attached.iter().filter(|one| one.instance == instance);
            detached.extend(attached.map(|one| (id, one.of)));
            client.detach(instance);
        }
        detached.sort_unstable();
        detached
    }
}
