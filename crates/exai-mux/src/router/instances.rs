//! All instances, and which share key leads to which.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::instance::{Instance, Opening};
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId, MintedMap};
use crate::types::policy::{Policy, ShareKey};

/// All instances. What is known of one instance is changed through [`Instance`].
#[derive(Debug, Default)]
pub(crate) struct Instances {
    all: MintedMap<InstanceId, Instance>,
    /// The current instances, by server and share key: all but those that are retiring.
    shared: HashMap<(Arc<str>, ShareKey), InstanceId>,
    next_id: u64,
}

impl Instances {
    /// Adds an instance that is being started, under its share key.
    pub(crate) fn add_instance(
        &mut self,
        policy: &Policy,
        number: u32,
        (key, opening): (ShareKey, Opening),
        time: Instant,
    ) -> InstanceId {
        let id = InstanceId(self.next_id);
        self.next_id += 1;
        self.all.insert(id, Instance::new(policy, number, (key.clone(), opening), time));
        self.shared.insert((policy.name.clone(), key), id);
        id
    }

    pub(crate) fn remove_instance(&mut self, id: InstanceId) -> Option<Instance> {
        let instance = self.all.remove(&id)?;
        // The key of a retiring instance may lead to another by now.
        let key = (instance.server.clone(), instance.key.clone());
        if self.shared.get(&key) == Some(&id) {
            self.shared.remove(&key);
        }
        Some(instance)
    }

    /// Gives an instance another share key. It takes the place of any other instance with that key.
    pub(crate) fn change_key(&mut self, id: InstanceId, key: ShareKey) {
        let Some(instance) = self.all.get_mut(&id) else { return };
        let server = instance.server.clone();
        let before = (server.clone(), std::mem::replace(&mut instance.key, key.clone()));
        if self.shared.get(&before) == Some(&id) {
            self.shared.remove(&before);
        }
        self.shared.insert((server, key), id);
    }

    /// Lets no new request go to an instance.
    pub(crate) fn retire_instance(&mut self, id: InstanceId) {
        if let Some(instance) = self.all.get_mut(&id) {
            instance.retiring = true;
            self.shared.remove(&(instance.server.clone(), instance.key.clone()));
        }
    }

    pub(crate) fn contains(&self, id: InstanceId) -> bool {
        self.all.contains_key(&id)
    }

    pub(crate) fn get(&self, id: InstanceId) -> Option<&Instance> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        self.all.get_mut(&id)
    }

    /// The instance, unless it is retiring.
    pub(crate) fn get_current(&self, id: InstanceId) -> Option<&Instance> {
        self.all.get(&id).filter(|instance| !instance.retiring)
    }

    /// The name of the server that an instance runs, and the era in which it is spoken to.
    pub(crate) fn server_and_era_of(&self, id: InstanceId) -> Option<(Arc<str>, Era)> {
        self.all.get(&id).map(|instance| (instance.server.clone(), instance.era()))
    }

    /// The name of the server that an instance runs.
    pub(crate) fn server_of(&self, id: InstanceId) -> Option<Arc<str>> {
        self.all.get(&id).map(|instance| instance.server.clone())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (InstanceId, &Instance)> {
        self.all.iter().map(|(&id, instance)| (id, instance))
    }

    pub(crate) fn iter_with_ids_mut(&mut self) -> impl Iterator<Item = (InstanceId, &mut Instance)> {
        self.all.iter_mut().map(|(&id, instance)| (id, instance))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.all.values_mut()
    }

    /// The instances of a server, oldest first, retiring ones included.
    pub(crate) fn of_server(&self, server: &str) -> Vec<(InstanceId, &Instance)> {
        let mut found: Vec<_> = self.iter().filter(|(_, instance)| *instance.server == *server).collect();
        found.sort_by_key(|(id, _)| *id);
        found
    }

    /// The instances of a server that new requests may go to, oldest first.
    pub(crate) fn current_of_server(&self, server: &str) -> Vec<(InstanceId, &Instance)> {
        let mut found = self.of_server(server);
        found.retain(|(_, instance)| !instance.retiring);
        found
    }

    /// Whether new requests may go to an instance of the server.
    pub(crate) fn has_current(&self, server: &str) -> bool {
        self.all.values().any(|instance| *instance.server == *server && !instance.retiring)
    }

    /// The ids of all instances, oldest first.
    pub(crate) fn ids(&self) -> Vec<InstanceId> {
        let mut ids: Vec<InstanceId> = self.all.keys().copied().collect();
        ids.sort();
        ids
    }

    /// The instance that serves clients with this key, if one runs.
    pub(crate) fn find_by_key(&self, server: &Arc<str>, key: &ShareKey) -> Option<InstanceId> {
        let exactly = self.shared.get(&(server.clone(), key.clone())).copied();
        if exactly.is_some() || !key.any {
            return exactly;
        }
        let is_common = |instance: &Instance| {
            instance.server == *server
                && instance.era() == key.era
                && instance.key.bridged == key.bridged
                && instance.key.client.is_none()
                && !instance.retiring
        };
        self.iter().filter(|(_, instance)| is_common(instance)).map(|(id, _)| id).min()
    }

    /// The retiring instances that a client has used.
    pub(crate) fn retiring_of_client(&self, client: ClientId) -> impl Iterator<Item = InstanceId> {
        let is_used = move |instance: &Instance| instance.retiring && instance.clients.contains(&client);
        self.iter().filter(move |(_, instance)| is_used(instance)).map(|(id, _)| id)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many instances new requests may go to.
    pub(crate) fn shared_len(&self) -> usize {
        self.shared.len()
    }
}
