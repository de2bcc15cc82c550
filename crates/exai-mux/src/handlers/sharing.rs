//! Which instance serves which client.

use std::sync::Arc;

use exai_proto::Id;

use crate::client::Client;
use crate::instance::{Opening, Probe};
use crate::limits::MAX_INSTANCES_PER_SERVER;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::Server;
use crate::types::client_context::ClientContext;
use crate::types::effect::Effect;
use crate::types::era::Era;
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
        let known = self.find_seen_server(client_id, server, id, cx)?;
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
        self.attach_client((client_id, context.era), instance, cx);
        Some(instance)
    }

    /// Attaches clients that an instance of a server has lost to the instances that suit them now. Each comes with the
    /// era in which it speaks.
    pub(crate) fn attach_anew(
        &mut self,
        server: &str,
        detached: Vec<(ClientId, Era)>,
        cx: &mut EventContext<'_>,
    ) {
        for (client_id, of) in detached {
            let Some(known) = self.servers.get(server) else { return };
            let is_aggregating = self.clients.is_aggregating(client_id);
            if of == Era::Modern && known.refuses_modern() && !is_aggregating {
                continue;
            }
            let context = self.clients.get(client_id).and_then(|client| client.context_in(of)).cloned();
            let key = context.and_then(|context| self.make_share_key(client_id, &context, server));
            if let Some(instance) = key.and_then(|key| self.find_or_start_instance(server, key, cx)) {
                self.attach_client((client_id, of), instance, cx);
            }
        }
    }

    /// Finds a server that a client wants. The client is told if it may not see such a server.
    pub(crate) fn find_seen_server(
        &self,
        client_id: ClientId,
        server: &str,
        id: &Id,
        cx: &mut EventContext<'_>,
    ) -> Option<&Server> {
        let client = self.clients.get(client_id)?;
        let found = self.servers.get_seen(client, server);
        if found.is_none() && self.lacks_account(client, server) {
            cx.no_account(client_id, id, server, self.accounts.of_server(server));
        } else if found.is_none() {
            cx.unknown_server(client_id, id, &[server], self.chosen_names(client));
        }
        found
    }

    /// Whether a server has accounts, and the client could use it if one of them were for the client.
    pub(crate) fn lacks_account(&self, client: &Client, server: &str) -> bool {
        let is_there = client.wanted.has_server(server) && client.chooses_server(server);
        is_there
            && client.accounts.resolve(server) == server
            && self.accounts.of_server(server).next().is_some()
    }

    /// The names of the servers that the configuration lets a client use, wherever it is connected.
    pub(crate) fn chosen_names<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = &'a Arc<str>> {
        self.servers.names().filter(|name| client.chooses_server(name) && !client.accounts.excludes(name))
    }

    /// The key of the instances of a server that a client may use. `None` if the server is not configured.
    pub(crate) fn make_share_key(
        &self,
        client_id: ClientId,
        context: &ClientContext,
        server: &str,
    ) -> Option<ShareKey> {
        let known = self.servers.get(server)?;
        let era = known.serving_era(context.era);
        let own = Some(client_id)
            .filter(|client| self.clients.get(*client).is_some_and(|client| !client.stateless));
        if era == Era::Modern {
            let client = own.filter(|_| known.policy.share == Share::Client);
            return Some(ShareKey { client, ..ShareKey::common("{}").in_era(era) });
        }
        if context.era == Era::Modern && known.policy.bridge {
            let is_told = known.policy.share != Share::Shared;
            let declared = if is_told { context.capabilities.clone() } else { "{}".into() };
            let common = ShareKey { bridged: true, ..ShareKey::common(declared) };
            // A server that asks must be known to ask this client.
            let is_free = matches!(known.policy.share, Share::Auto | Share::Session);
            let asks = is_free && !known.behaviour.observed().asks.is_empty();
            let client = own.filter(|_| asks || known.policy.share.is_separate_in_sessions());
            // Connections share a process, until it could ask one of them because of a parked call of another.
            let is_unclear = |instance| self.may_mean_parked_call(instance, client_id);
            let shared = self.instances.find_by_key(&known.policy.name, &common);
            let may_part = own.is_none() && is_free;
            let parts = may_part && shared.is_some_and(is_unclear);
            let client = client.or_else(|| parts.then_some(client_id));
            return Some(ShareKey { client, ..common });
        }
        let declared: Arc<str> = match context.era {
            Era::Legacy => context.capabilities.clone(),
            // It cannot be asked.
            Era::Modern => "{}".into(),
        };
        Some(match known.policy.share {
            Share::Auto if context.era == Era::Modern => ShareKey::common(declared),
            Share::Auto => {
                let observed = known.behaviour.observed();
                if observed.is_indifferent_to(&context.can) {
                    return Some(ShareKey { any: true, ..ShareKey::common(observed.declared_for_all()) });
                }
                let may_be_asked = context.can.keys().any(|ask| observed.asks.contains(ask));
                let client = may_be_asked.then_some(client_id);
                ShareKey { client, ..ShareKey::common(declared) }
            }
            Share::Shared => ShareKey::common("{}"),
            Share::Client | Share::Session => ShareKey { client: own, ..ShareKey::common(declared) },
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
        let opening = match key.era {
            Era::Modern => Opening::Discover { after_initialize: None },
            // The sibling of the instance that is asked would be in its way.
            Era::Legacy if known.eras.must_probe(cx.time) && !known.policy.one_at_a_time => {
                Opening::Probe(Probe::default())
            }
            Era::Legacy => Opening::Initialize { after_discover: false },
        };
        let id = self.instances.add_instance(&known.policy, number, (key, opening), cx.time);
        cx.effects.push(Effect::Start { instance: id, server: name, number });
        Some(id)
    }

    /// Makes room for one more instance of a server. If there are as many as there may be, the instance that has been idle
    /// for longest is stopped. Returns whether there is room.
    fn make_room_for_instance(&mut self, server: &str, cx: &mut EventContext<'_>) -> bool {
        if self.instances.of_server(server).len() < MAX_INSTANCES_PER_SERVER {
            return true;
        }
        let unused = self.find_unused_instance(server);
        if let Some(id) = unused {
            self.stop_idle(id, cx);
        }
        unused.is_some()
    }

    /// Whether one more instance of a server may be started, perhaps in the place of an idle one.
    pub(crate) fn has_room_for_instance(&self, server: &str) -> bool {
        self.instances.of_server(server).len() < MAX_INSTANCES_PER_SERVER
            || self.find_unused_instance(server).is_some()
    }

    /// The instance of a server that has been idle for longest.
    fn find_unused_instance(&self, server: &str) -> Option<InstanceId> {
        let of_server = self.instances.of_server(server).into_iter();
        let ready =
            of_server.filter(|(_, instance)| instance.ready().is_some() && instance.in_flight.is_empty());
        let (_, id) = ready.filter_map(|(id, instance)| Some((instance.idle_since?, id))).min()?;
        Some(id)
    }
}
