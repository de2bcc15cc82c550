//! All clients.

use std::sync::Arc;

use crate::client::Client;
use crate::types::client_context::ClientContext;
use crate::types::ids::{ClientId, Endpoint, InstanceId, MintedMap};

/// All clients. What is known of one client is changed through [`Client`].
#[derive(Debug, Default)]
pub(crate) struct Clients {
    all: MintedMap<ClientId, Client>,
}

impl Clients {
    pub(crate) fn add_client(&mut self, id: ClientId, endpoint: Endpoint) {
        self.all.insert(id, Client::new(endpoint));
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

    /// Whether the client uses the aggregated endpoint.
    pub(crate) fn is_aggregating(&self, id: ClientId) -> bool {
        self.all.get(&id).is_some_and(|client| client.endpoint == Endpoint::All)
    }

    /// The clients of the aggregated endpoint that have introduced themselves, oldest first.
    pub(crate) fn aggregating_ids(&self) -> Vec<ClientId> {
        let is_introduced = |client: &Client| client.endpoint == Endpoint::All && client.context().is_some();
        let mut ids: Vec<ClientId> =
            self.all.iter().filter(|(_, client)| is_introduced(client)).map(|(&id, _)| id).collect();
        ids.sort();
        ids
    }

    /// No client uses this instance any more.
    pub(crate) fn detach_all(&mut self, instance: InstanceId) {
        for client in self.all.values_mut() {
            client.detach(instance);
        }
    }
}
