//! Which instance serves which client.

use exai_proto::Id;

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
        let Some(known) = self.servers.get(server) else {
            now.unknown_server(client_id, id, server, self.servers.names());
            return None;
        };
        if let Some(down) = known.health.held_back(now.time) {
            let down = down.clone();
            now.unavailable(client_id, id, server, &down);
            return None;
        }
        let key = self.share_key(client_id, server)?;
        let Some(instance) = self.instance_with(server, key, now) else {
            now.overloaded(client_id, id, Some(server), "64 instances of this server are in use");
            return None;
        };
        self.attach(client_id, instance, now);
        Some(instance)
    }

    pub(crate) fn share_key(&self, client_id: ClientId, server: &str) -> Option<ShareKey> {
        let introduction = self.clients.get(client_id)?.introduction()?;
        Some(match self.servers.get(server)?.policy.share {
            Share::Auto => {
                let traits = self.servers.get(server)?.measured.traits();
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

    /// The instance with this key; started if there is none. `None` if there are too many others.
    pub(crate) fn instance_with(
        &mut self,
        server: &str,
        key: ShareKey,
        now: &mut Now<'_>,
    ) -> Option<InstanceId> {
        let name = self.servers.get(server)?.policy.name.clone();
        if let Some(instance) = self.instances.find_by_key(&name, &key) {
            return Some(instance);
        }
        if !self.make_room(server, now) {
            return None;
        }
        let known = self.servers.get_mut(server)?;
        let number = known.next_number;
        known.next_number += 1;
        let id = self.instances.add_instance(&known.policy, number, key, now.time);
        now.effects.push(Effect::Start { instance: id, server: name, number });
        Some(id)
    }

    /// Whether one more instance of a server may be started. Where there are as many as may be, the one that
    /// nobody has used for the longest time makes room.
    fn make_room(&mut self, server: &str, now: &mut Now<'_>) -> bool {
        let of_server = self.instances.of_server(server);
        if of_server.len() < MAX_INSTANCES_PER_SERVER {
            return true;
        }
        let unused = of_server
            .into_iter()
            .filter(|(_, instance)| instance.ready().is_some() && instance.in_flight.is_empty())
            .filter_map(|(id, instance)| Some((instance.idle_since?, id)))
            .min();
        if let Some((_, id)) = unused {
            self.stop_idle(id, now);
        }
        unused.is_some()
    }
}
