//! Which instance serves which client.

use exai_proto::Id;

use crate::limits::MAX_INSTANCES_PER_SERVER;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::client_context::ClientContext;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::policy::{Share, ShareKey};

impl Router {
    /// Finds or starts the instance that a client is to use. `None` if there can be none now; the client has been
    /// told then.
    pub(crate) fn find_or_start_for_client(
        &mut self,
        client_id: ClientId,
        context: &ClientContext,
        server: &str,
        id: &Id,
        cx: &mut EventContext<'_>,
    ) -> Option<InstanceId> {
        let Some(known) = self.servers.get(server) else {
            cx.unknown_server(client_id, id, server, self.servers.names());
            return None;
        };
        if let Some(down) = known.health.held_back(cx.time) {
            let down = down.clone();
            cx.unavailable(client_id, id, server, &down);
            return None;
        }
        let key = self.make_share_key(client_id, context, server)?;
        let Some(instance) = self.find_or_start_instance(server, key, cx) else {
            cx.overloaded(client_id, id, Some(server), "64 instances of this server are in use");
            return None;
        };
        self.attach_client(client_id, instance, cx);
        Some(instance)
    }

    /// The key of the instances of a server that a client may use. `None` if the server is not configured.
    pub(crate) fn make_share_key(
        &self,
        client_id: ClientId,
        context: &ClientContext,
        server: &str,
    ) -> Option<ShareKey> {
        Some(match self.servers.get(server)?.policy.share {
            Share::Auto => {
                let observed = self.servers.get(server)?.behaviour.observed();
                if observed.is_indifferent_to(&context.can) {
                    return Some(ShareKey { any: true, ..ShareKey::common(observed.declared_for_all()) });
                }
                let may_be_asked = context.can.keys().any(|ask| observed.asks.contains(ask));
                let client = may_be_asked.then_some(client_id);
                ShareKey { client, ..ShareKey::common(context.capabilities.clone()) }
            }
            Share::Shared => ShareKey::common("{}"),
            Share::Client => {
                ShareKey { client: Some(client_id), ..ShareKey::common(context.capabilities.clone()) }
            }
        })
    }

    /// Finds or starts the instance with this key. `None` if there are too many others.
    pub(crate) fn find_or_start_instance(
        &mut self,
        server: &str,
        key: ShareKey,
        cx: &mut EventContext<'_>,
    ) -> Option<InstanceId> {
        let name = self.servers.get(server)?.policy.name.clone();
        if let Some(instance) = self.instances.find_by_key(&name, &key) {
            return Some(instance);
        }
        if !self.make_room_for_instance(server, cx) {
            return None;
        }
        let known = self.servers.get_mut(server)?;
        let number = known.next_number;
        known.next_number += 1;
        let id = self.instances.add_instance(&known.policy, number, key, cx.time);
        cx.effects.push(Effect::Start { instance: id, server: name, number });
        Some(id)
    }

    /// Whether one more instance of a server may be started. If there are as many as there may be, the instance that
    /// has been idle for longest is stopped.
    fn make_room_for_instance(&mut self, server: &str, cx: &mut EventContext<'_>) -> bool {
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
            self.stop_idle(id, cx);
        }
        unused.is_some()
    }
}
