//! Which instance serves which client.

use std::sync::Arc;

use exai_proto::Id;

use crate::instance::Instance;
use crate::limits::MAX_INSTANCES_PER_SERVER;
use crate::router::Router;
use crate::router::now::Now;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::policy::{Share, ShareKey};

impl Router {
    /// The instance a client is to use; `None` if there can be none now, and the client has been told.
    pub(crate) fn instance_for(
        &mut self,
        client_id: ClientId,
        server: &str,
        id: &Id,
        now: &mut Now<'_>,
    ) -> Option<InstanceId> {
        let Some(known) = self.server(server) else {
            self.unknown_server(client_id, id, server, now);
            return None;
        };
        if let Some(down) = known.health.held_back(now.time) {
            let down = down.clone();
            Self::unavailable(client_id, id, server, &down, now);
            return None;
        }
        let key = self.share_key(client_id, server)?;
        let Some(instance) = self.instance_with(server, key, now) else {
            Self::overloaded(client_id, id, Some(server), "64 instances of this server are in use", now);
            return None;
        };
        self.attach(client_id, instance, now);
        Some(instance)
    }

    pub(crate) fn share_key(&self, client_id: ClientId, server: &str) -> Option<ShareKey> {
        let introduction = self.clients.get(&client_id)?.introduction()?;
        Some(match self.server(server)?.policy.share {
            Share::Auto => {
                let traits = self.server(server)?.measured.traits();
                if traits.is_indifferent_to(&introduction.can) {
                    return Some(ShareKey { any: true, ..ShareKey::common(traits.declared_for_all()) });
                }
                let may_be_asked = introduction.can.keys().any(|ask| traits.asks.contains(ask));
                let client = may_be_asked.then_some(client_id);
                ShareKey { client, ..ShareKey::common(introduction.capabilities.clone()) }
            }
            Share::Shared => ShareKey::common("{}"),
            Share::Client => {
                ShareKey { client: Some(client_id), ..ShareKey::common(introduction.capabilities.clone()) }
            }
        })
    }

    /// The instance that serves clients with this key, if one runs.
    pub(crate) fn instance_of_key(&self, server: &Arc<str>, key: &ShareKey) -> Option<InstanceId> {
        let exactly = self.shared.get(&(server.clone(), key.clone())).copied();
        if exactly.is_some() || !key.any {
            return exactly;
        }
        let common = |instance: &Instance| {
            instance.server == *server && instance.key.client.is_none() && !instance.retiring
        };
        self.instances.iter().filter(|(_, instance)| common(instance)).map(|(&id, _)| id).min()
    }

    /// The instance with this key; started if there is none. `None` if there are too many others.
    pub(crate) fn instance_with(
        &mut self,
        server: &str,
        key: ShareKey,
        now: &mut Now<'_>,
    ) -> Option<InstanceId> {
        let name = self.server(server)?.policy.name.clone();
        if let Some(instance) = self.instance_of_key(&name, &key) {
            return Some(instance);
        }
        if !self.make_room(server, now) {
            return None;
        }
        let known = self.server_mut(server)?;
        let number = known.next_number;
        known.next_number += 1;
        let instance = Instance::new(&known.policy, number, key.clone(), now.time);
        let id = InstanceId(self.next_instance);
        self.next_instance += 1;
        self.shared.insert((name.clone(), key), id);
        self.instances.insert(id, instance);
        now.effects.push(Effect::Start { instance: id, server: name, number });
        Some(id)
    }

    /// Whether one more instance of a server may be started. Where there are as many as may be, the one that
    /// nobody has used for the longest time makes room.
    fn make_room(&mut self, server: &str, now: &mut Now<'_>) -> bool {
        let of_server = self.instances.iter().filter(|(_, instance)| &*instance.server == server);
        if of_server.clone().count() < MAX_INSTANCES_PER_SERVER {
            return true;
        }
        let unused = of_server
            .filter(|(_, instance)| instance.ready().is_some() && instance.in_flight.is_empty())
            .filter_map(|(&id, instance)| Some((instance.idle_since?, id)))
            .min();
        if let Some((_, id)) = unused {
            self.stop_idle(id, now);
        }
        unused.is_some()
    }
}
