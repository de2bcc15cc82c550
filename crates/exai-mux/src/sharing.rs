//! Which instance serves which client, and what a client brings along.

use crate::endings::Left;
use crate::limits::MAX_INSTANCES_PER_SERVER;
use std::sync::Arc;

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::{Id, json};

use crate::event::{About, ClientId, Down, Effect, InstanceId};
use crate::instance::{Errand, Instance, Owner};
use crate::level::Level;
use crate::policy::{Share, ShareKey};
use crate::router::{Now, Router};

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
    pub(crate) fn make_room(&mut self, server: &str, now: &mut Now<'_>) -> bool {
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

    /// Stops an instance that no client uses.
    pub(crate) fn stop_idle(&mut self, id: InstanceId, now: &mut Now<'_>) {
        let since = self.instances.get(&id).and_then(|instance| instance.idle_since);
        let seconds = since.map_or(0, |since| now.time.saturating_duration_since(since).as_secs());
        self.stop_instance(id, &Down::because(format!("was used by no client for {seconds} s")), now);
    }

    /// Makes a client a user of an instance and gives the instance what the client had of an earlier one.
    pub(crate) fn attach(&mut self, client_id: ClientId, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        if instance.clients.contains(&client_id) {
            return;
        }
        // It uses no other of this server: it has left that one, or that one is gone.
        client.attached.push((instance.server.clone(), instance_id));
        instance.clients.push(client_id);
        instance.idle_since = None;
        if instance.ready().is_some() {
            self.restore(client_id, instance_id, now);
        }
    }

    /// Log level and subscriptions of a client that an instance does not know yet.
    pub(crate) fn restore(&mut self, client_id: ClientId, instance_id: InstanceId, now: &mut Now<'_>) {
        if let Some(level) = self.clients.get(&client_id).and_then(|client| client.level) {
            self.raise_level(instance_id, level, now);
        }
        let Some(client) = self.clients.get(&client_id) else { return };
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        if instance.ready().is_none() {
            return;
        }
        let mut unheard = Vec::new();
        for (server, uri) in &client.subscriptions {
            if *server == instance.server {
                let subscribers = instance.subscribers.entry(uri.clone()).or_default();
                if subscribers.is_empty() {
                    unheard.push(format!("{{\"uri\":{}}}", json::quote(uri)));
                }
                if !subscribers.contains(&client_id) {
                    subscribers.push(client_id);
                }
            }
        }
        let server = instance.server.clone();
        let subscribed = client.subscriptions.iter().filter(|(name, _)| *name == server);
        let uris: Vec<String> = subscribed.map(|(_, uri)| json::quote(uri)).collect();
        for params in unheard {
            let write = |number| answer::request(number, "resources/subscribe", &params);
            self.send_request(instance_id, Owner::Router(Errand::Forgotten), write, now);
        }
        if self.server_mut(&server).is_some_and(|server| server.interrupted.remove(&client_id)) {
            // Something may have happened while nobody listened.
            for uri in uris {
                let params = format!("{{\"uri\":{uri}}}");
                let told = answer::notify("notifications/resources/updated", &params);
                now.to_client(client_id, told, About::Session);
            }
        }
    }

    /// Has a server that logs log at least this much.
    pub(crate) fn raise_level(&mut self, instance_id: InstanceId, level: Level, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        if instance.ready().is_some_and(|ready| ready.capabilities.logging)
            && instance.level.is_none_or(|set| level < set)
        {
            instance.level = Some(level);
            let params = format!("{{\"level\":\"{}\"}}", level.name());
            let write = |number| answer::request(number, "logging/setLevel", &params);
            self.send_request(instance_id, Owner::Router(Errand::Forgotten), write, now);
        }
    }

    /// A client that introduces itself anew may need other instances than those it uses: it leaves them.
    pub(crate) fn leave_unsuited(&mut self, client_id: ClientId, now: &mut Now<'_>) {
        const ANEW: &str = "the client has introduced itself anew";
        let Some(client) = self.clients.get(&client_id) else { return };
        for (server, instance_id) in client.attached.clone() {
            let key = self.share_key(client_id, &server);
            if key.and_then(|key| self.instance_of_key(&server, &key)) == Some(instance_id) {
                continue;
            }
            for (id, left) in self.leave(client_id, instance_id, ANEW, now) {
                let failure = match left {
                    Left::Unsent => Failure::ServerUnavailable,
                    Left::Sent => Failure::OutcomeUnknown,
                    Left::Cancelled => {
                        now.dropped(client_id, id);
                        continue;
                    }
                };
                let data = FailureData { server: Some(&server), ..FailureData::new(Source::Daemon, failure) };
                now.fail(client_id, &id, ANEW, &data);
            }
        }
    }
}
