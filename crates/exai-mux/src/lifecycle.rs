//! How instances come and go, and what time does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::envelope::Outcome;
use exai_proto::json::Edit;
use exai_proto::{Id, Message, json};

use crate::catalogue::{Catalogue, KINDS, Kind};
use crate::client::Client;
use crate::discovery;
use crate::event::{About, ClientId, Down, Effect, Endpoint, InstanceId, Unsent};
use crate::health::Health;
use crate::instance::{
    self, Capabilities, Errand, InFlight, Instance, Offer, Owner, Phase, Ready, Waiting, Wish,
};
use crate::lanes::Held;
use crate::level::Level;
use crate::params::Params;
use crate::policy::{Policy, Share, ShareKey};
use crate::retire::Orphaned;
use crate::router::{Now, Router, Server};

/// The padding of a ping, in bytes: more than a program reads or writes by chance, less than a pipe holds.
const PADDING: usize = 16 * 1024;
/// How long an answer to a ping is waited for.
const PING: Duration = Duration::from_secs(5);

impl Router {
    pub(crate) fn configured(&mut self, policies: Vec<Policy>, now: &mut Now<'_>) {
        let first = self.servers.is_empty();
        let mut old = std::mem::take(&mut self.servers);
        let mut changed = false;
        let mut kept = Vec::new();
        for policy in policies {
            let known = old.iter().position(|server| server.policy.name == policy.name);
            match known.map(|at| old.swap_remove(at)) {
                Some(server) if server.policy.revision == policy.revision => {
                    changed |= server.policy.tools != policy.tools;
                    kept.push(Server { policy, ..server });
                }
                Some(server) => {
                    changed = true;
                    let next_number = server.next_number;
                    old.push(server);
                    kept.push(Server { next_number, ..Server::new(policy) });
                }
                None => {
                    changed = true;
                    kept.push(Server::new(policy));
                }
            }
        }
        changed |= !old.is_empty();
        self.servers = kept;
        for instance in self.instances.values_mut() {
            if let Some(server) = self.servers.iter().find(|server| server.policy.name == instance.server) {
                instance.call_timeout = server.policy.call_timeout;
            }
        }
        for gone in old {
            let name = gone.policy.name.clone();
            let orphaned = self.retire(&name, gone.policy.one_at_a_time, now);
            self.adopt(&name, orphaned, now);
            self.tell_changed(&gone, now);
        }
        self.start_wanted(now);
        for client in self.all_clients() {
            self.tell_repeatable(client, now);
        }
        if changed && !first {
            for client in self.aggregating() {
                for kind in [KINDS[0], KINDS[1], KINDS[2]] {
                    now.to_client(client, answer::notification(kind.changed()), About::Session);
                }
            }
        }
    }

    /// Tells those who use a server alone that it is another now.
    fn tell_changed(&mut self, old: &Server, now: &mut Now<'_>) {
        let Some(said) = &old.said else { return };
        let own = |endpoint: &Endpoint| matches!(endpoint, Endpoint::One(name) if *name == old.policy.name);
        for id in self.all_clients() {
            let Some(client) = self.clients.get(&id) else { continue };
            if !own(&client.endpoint) || client.introduction().is_none() {
                continue;
            }
            for kind in [KINDS[0], KINDS[1], KINDS[2]] {
                if said.offer(kind) == Offer::Announced {
                    now.to_client(id, answer::notification(kind.changed()), About::Session);
                }
            }
        }
    }

    /// Whether a server should run though nobody asks anything of it: it is eager, or somebody has subscribed to
    /// what it had to tell before it ended.
    pub(crate) fn is_wanted(&self, server: &Server) -> bool {
        let name = &server.policy.name;
        let running = || self.instances.values().any(|one| one.server == *name && !one.retiring);
        let waits = |client| {
            self.clients.get(client).is_some_and(|client: &Client| client.instance_of(name).is_none())
        };
        server.interrupted.iter().any(waits) || (is_eager(&server.policy) && !running())
    }

    /// Starts what is wanted and may be started. An eager server has one instance, as for a client without
    /// capabilities.
    fn start_wanted(&mut self, now: &mut Now<'_>) {
        let may_start = |server: &&Server| server.health.held_back(now.time).is_none();
        let wanted = self.servers.iter().filter(may_start).filter(|server| self.is_wanted(server));
        let wanted: Vec<(Arc<str>, Vec<ClientId>, bool)> = wanted
            .map(|server| {
                let clients = server.interrupted.iter().copied().collect();
                (server.policy.name.clone(), clients, is_eager(&server.policy))
            })
            .collect();
        for (server, interrupted, eager) in wanted {
            for client in interrupted {
                let key = self.share_key(client, &server);
                match key.and_then(|key| self.instance_with(&server, key, now)) {
                    Some(instance) => self.attach(client, instance, now),
                    None => {
                        // There are too many instances: it finds out with its next request.
                        if let Some(server) = self.server_mut(&server) {
                            server.interrupted.remove(&client);
                        }
                    }
                }
            }
            if eager && !self.instances.values().any(|one| one.server == server && !one.retiring) {
                let key = ShareKey { capabilities: "{}".into(), client: None };
                self.instance_with(&server, key, now);
            }
        }
    }

    pub(crate) fn restart(&mut self, server: &str, now: &mut Now<'_>) {
        let why = Down::because("was restarted");
        self.stop_instances(server, &why, now);
        if let Some(server) = self.server_mut(server) {
            server.health.forgive();
        }
    }

    fn stop_instances(&mut self, server: &str, why: &Down, now: &mut Now<'_>) {
        let mut ids: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| &*instance.server == server)
            .map(|(&id, _)| id)
            .collect();
        ids.sort();
        for id in ids {
            self.forget(id, why, now);
            now.effects.push(Effect::Stop { instance: id });
        }
    }

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
            Share::Auto => ShareKey { capabilities: introduction.capabilities.clone(), client: None },
            Share::Shared => ShareKey { capabilities: "{}".into(), client: None },
            Share::Client => {
                ShareKey { capabilities: introduction.capabilities.clone(), client: Some(client_id) }
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
        let name = self.server(server)?.policy.name.clone();
        if let Some(&instance) = self.shared.get(&(name.clone(), key.clone())) {
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
        if of_server.clone().count() < instance::MOST_INSTANCES {
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

    fn stop_idle(&mut self, id: InstanceId, now: &mut Now<'_>) {
        let why = Down::because("was idle");
        self.forget(id, &why, now);
        now.effects.push(Effect::Stop { instance: id });
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
    fn restore(&mut self, client_id: ClientId, instance_id: InstanceId, now: &mut Now<'_>) {
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

    /// The process runs: introduce exai to it.
    pub(crate) fn up(&mut self, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get(&instance_id) else { return };
        let params = format!(
            "{{\"protocolVersion\":\"{}\",\"capabilities\":{},\"clientInfo\":{{\"name\":\"exai\",\"version\":\"{}\"}}}}",
            exai_proto::version::NEWEST_LEGACY,
            instance.key.capabilities,
            env!("CARGO_PKG_VERSION"),
        );
        let write = |number| answer::request(number, "initialize", &params);
        self.send_request(instance_id, Owner::Router(Errand::Initialize), write, now);
    }

    /// The server has answered `initialize`.
    pub(crate) fn initialised(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        now: &mut Now<'_>,
    ) {
        let ready = match outcome {
            Outcome::Result(result) => Ready::of(message.bytes().slice(result.clone())),
            Outcome::Error(_) => None,
        };
        let Some(ready) = ready else {
            let said = String::from_utf8_lossy(message.bytes());
            let said: String = said.chars().take(300).collect();
            let reason = format!("did not accept `initialize`: {said}");
            return now.effects.push(Effect::GiveUp { instance: instance_id, reason });
        };
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let server = instance.server.clone();
        let said = ready.clone();
        let Phase::Starting { waiting, .. } = std::mem::replace(&mut instance.phase, Phase::Ready(ready))
        else {
            return;
        };
        let clients = instance.clients.clone();
        if let Some(known) = self.server_mut(&server) {
            known.health.became_ready();
            let is_news = known.said.as_ref().is_none_or(|before| before.result != said.result);
            known.introduced(said.clone());
            if is_news {
                discovery::learned(&server, now);
            }
        }
        now.to_server(instance_id, answer::notification("notifications/initialized"));
        now.effects.push(Effect::Ready { instance: instance_id });
        for client in clients {
            self.restore(client, instance_id, now);
        }
        for waiting in waiting {
            match waiting {
                Waiting::Initialize { client, id } => self.replay_initialize(client, &id, &said, now),
                Waiting::Message(held) => {
                    self.count_in_flight(held.client, -1);
                    self.forward(held, instance_id, now);
                }
                Waiting::List(kind) => self.list(instance_id, kind, now),
            }
        }
        self.list_owed(instance_id, now);
    }

    /// Sends a ping that is long enough to be found again in the counters of whoever reads it. `_meta` is
    /// where a request may carry what its receiver does not know.
    pub(crate) fn ping(&mut self, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        if instance.ready().is_none() {
            return;
        }
        let number = instance.mint();
        let padding = "p".repeat(PADDING);
        let params = format!("{{\"_meta\":{{\"exai/padding\":\"{padding}\"}}}}");
        let bytes = answer::request(number, "ping", &params);
        let owner = Owner::Router(Errand::Ping { sent: bytes.len() });
        let deadline = now.time + PING;
        instance.in_flight.insert(number, InFlight { owner, lane: None, deadline, limit: deadline });
        now.effects.push(Effect::ToServer { instance: instance_id, bytes, number: Some(number) });
    }

    /// The process is gone, or never came.
    pub(crate) fn down(&mut self, instance: InstanceId, why: &Down, now: &mut Now<'_>) {
        // What was stopped on purpose is not known here any more.
        if let Some(instance) = self.instances.get(&instance).filter(|instance| !instance.retiring) {
            let (name, run) = (instance.server.clone(), instance.run());
            if let Some(server) = self.server_mut(&name) {
                let limit = server.policy.crash_limit;
                server.health.ended(&name, why, run, limit, now.time);
            }
        }
        self.forget(instance, why, now);
    }

    /// Remembers whom a run that ends leaves without what it has told them so far.
    pub(crate) fn interrupt(&mut self, instance: InstanceId) {
        let Some(instance) = self.instances.get(&instance).filter(|instance| !instance.retiring) else {
            return;
        };
        let (name, was_ready) = (instance.server.clone(), instance.ready().is_some());
        let clients = instance.clients.clone();
        let aggregating = self.aggregating();
        // What was subscribed to before may be subscribed to by nobody yet who is attached again.
        let subscribed = |client: &&ClientId| {
            let client = self.clients.get(client);
            client.is_some_and(|client| client.subscriptions.iter().any(|(server, _)| *server == name))
        };
        let interrupted: Vec<ClientId> = clients.iter().filter(subscribed).copied().collect();
        let Some(server) = self.server_mut(&name) else { return };
        server.interrupted.extend(interrupted);
        if !was_ready {
            return;
        }
        // The next run may have other lists: who knows them is told if so.
        let known = KINDS.map(|kind| server.catalogue.list(kind).map(|_| kind));
        for kind in known.into_iter().flatten() {
            let concerned = clients.iter().chain(&aggregating);
            server.catalogue.owed.extend(concerned.map(|client| (*client, kind)));
        }
    }

    /// Forgets an instance; everybody who waited for it is told.
    pub(crate) fn forget(&mut self, instance_id: InstanceId, why: &Down, now: &mut Now<'_>) {
        self.interrupt(instance_id);
        let Some(mut instance) = self.instances.remove(&instance_id) else { return };
        // A retiring one has made room for another.
        let key = (instance.server.clone(), instance.key.clone());
        if self.shared.get(&key) == Some(&instance_id) {
            self.shared.remove(&key);
        }
        for client in self.clients.values_mut() {
            client.detach(instance_id);
            client.asked.retain(|_, asked| asked.instance != instance_id);
        }
        let server = instance.server.clone();
        let mut in_flight: Vec<_> = instance.in_flight.into_iter().collect();
        in_flight.sort_by_key(|(number, _)| *number);
        for (_, request) in in_flight {
            if let Owner::Client { client, id, wish, cancelled, .. } = request.owner {
                self.request_ended(client, cancelled);
                if cancelled {
                    now.dropped(client, id);
                } else {
                    crashed(client, &id, &server, &wish, why, now);
                }
            }
        }
        // What was never sent is for the next run.
        let unsent: Vec<Orphaned> = instance.lanes.all().into_iter().map(Orphaned::from).collect();
        if let Phase::Starting { waiting, .. } = instance.phase {
            for waiting in waiting {
                match waiting {
                    Waiting::Initialize { client, id } => Self::unavailable(client, &id, &server, why, now),
                    Waiting::Message(held) => {
                        self.count_in_flight(held.client, -1);
                        if let Some(id) = held.id() {
                            Self::unavailable(held.client, &id, &server, why, now);
                        }
                    }
                    Waiting::List(_) => {}
                }
            }
        }
        for kind in KINDS {
            self.missed(&server, kind, now);
        }
        self.uncount(&unsent);
        self.adopt(&server, unsent, now);
    }

    /// A client is gone: what it asked for is cancelled, and what it was asked is declined.
    pub(crate) fn closed(&mut self, client_id: ClientId, now: &mut Now<'_>) {
        if !self.clients.contains_key(&client_id) {
            return;
        }
        for instance in self.instances_with_requests(client_id) {
            self.leave(client_id, instance, "the client has disconnected", now);
        }
        self.clients.remove(&client_id);
        self.gatherings.retain(|waiting| waiting.client != client_id);
        for server in &mut self.servers {
            server.catalogue.owed.retain(|(client, _)| *client != client_id);
            server.interrupted.remove(&client_id);
        }
    }

    /// A client that introduces itself anew may need other instances than those it uses: it leaves them.
    pub(crate) fn leave_unsuited(&mut self, client_id: ClientId, now: &mut Now<'_>) {
        let Some(client) = self.clients.get(&client_id) else { return };
        for (server, instance_id) in client.attached.clone() {
            let key = self.share_key(client_id, &server);
            if self.instances.get(&instance_id).map(|instance| &instance.key) != key.as_ref() {
                for id in self.leave(client_id, instance_id, "the client has introduced itself anew", now) {
                    now.dropped(client_id, id);
                }
            }
        }
    }

    /// A client no longer uses an instance: what it asked for there is cancelled, and what it was asked is
    /// declined. Returns the requests that get no answer.
    fn leave(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        reason: &str,
        now: &mut Now<'_>,
    ) -> Vec<Id> {
        self.unanswerable(client_id, instance_id, now);
        let Some(client) = self.clients.get_mut(&client_id) else { return Vec::new() };
        client.detach(instance_id);
        let Some(instance) = self.instances.get_mut(&instance_id) else { return Vec::new() };
        instance.clients.retain(|other| *other != client_id);
        if instance.clients.is_empty() {
            instance.idle_since = Some(now.time);
        }
        let mut dropped = Vec::new();
        if let Phase::Starting { waiting, .. } = &mut instance.phase {
            waiting.retain(|waiting| {
                let leaves = waiting.client() == Some(client_id);
                if leaves {
                    // `initialize` is never counted.
                    let counted = matches!(waiting, Waiting::Message(_));
                    client.in_flight = client.in_flight.saturating_sub(u32::from(counted));
                    dropped.extend(waiting.id());
                }
                !leaves
            });
        }
        for held in instance.lanes.of(client_id) {
            client.in_flight = client.in_flight.saturating_sub(1);
            dropped.extend(held.id());
        }
        let mut numbers = Vec::new();
        for (&number, request) in &mut instance.in_flight {
            if let Owner::Client { client: owner, id, cancelled, .. } = &request.owner
                && *owner == client_id
            {
                numbers.push((number, id.clone(), *cancelled));
                request.owner = Owner::Router(Errand::Forgotten);
            }
        }
        numbers.sort_unstable_by_key(|(number, ..)| *number);
        for (number, id, cancelled) in numbers {
            if !cancelled {
                client.in_flight = client.in_flight.saturating_sub(1);
                now.to_server(instance_id, cancel(number, reason));
            }
            dropped.push(id);
        }
        let mut unheard = Vec::new();
        instance.subscribers.retain(|uri, subscribers| {
            subscribers.retain(|other| *other != client_id);
            if subscribers.is_empty() {
                unheard.push(uri.clone());
            }
            !subscribers.is_empty()
        });
        unheard.sort();
        for uri in unheard {
            let params = format!("{{\"uri\":{}}}", json::quote(&uri));
            let write = |number| answer::request(number, "resources/unsubscribe", &params);
            self.send_request(instance_id, Owner::Router(Errand::Forgotten), write, now);
        }
        dropped
    }

    pub(crate) fn tick(&mut self, now: &mut Now<'_>) {
        self.end_gatherings(now);
        self.start_wanted(now);
        let mut ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        ids.sort();
        for id in ids {
            self.tick_instance(id, now);
        }
    }

    fn tick_instance(&mut self, id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let policy = self.servers.iter().find(|server| server.policy.name == instance.server);
        if let Phase::Starting { deadline, .. } = instance.phase {
            if deadline <= now.time {
                let limit = policy.map_or(0, |server| server.policy.start_timeout.as_secs());
                let reason = format!("did not answer `initialize` within {limit} s");
                now.effects.push(Effect::GiveUp { instance: id, reason });
            }
            return;
        }
        if instance.retiring {
            self.end_retired(id, now);
        }
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let policy = self.servers.iter().find(|server| server.policy.name == instance.server);
        let idle_stop = policy.map_or(Duration::ZERO, |server| server.policy.idle_stop);
        let eager = policy.is_some_and(|server| server.policy.eager);
        if !eager
            && instance.in_flight.is_empty()
            && instance.idle_since.is_some_and(|since| since + idle_stop <= now.time)
        {
            return self.stop_idle(id, now);
        }
        let mut late: Vec<u64> = instance
            .in_flight
            .iter()
            .filter(|(_, request)| request.deadline <= now.time)
            .map(|(&number, _)| number)
            .collect();
        late.sort_unstable();
        let expired = instance.lanes.expired(now.time);
        let server = instance.server.clone();
        for number in late {
            self.time_out(id, number, now);
        }
        for held in expired {
            self.count_in_flight(held.client, -1);
            if let Some(id) = held.id() {
                let what = "it has waited for 15 s for its turn at this server";
                Self::overloaded(held.client, &id, Some(&server), what, now);
            }
        }
        self.send_next(id, now);
    }

    /// A request that the server does not read.
    pub(crate) fn unsent(&mut self, instance_id: InstanceId, number: u64, why: Unsent, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let server = instance.server.clone();
        match instance.take(number).map(|request| request.owner) {
            Some(Owner::Client { client, id, cancelled: true, .. }) => now.dropped(client, id),
            Some(Owner::Client { client, id, token, .. }) => {
                if let Unsent::Ending(bytes) = why
                    && let Some(message) = as_it_came(bytes, &id, token.as_ref())
                {
                    instance.lanes.close();
                    return instance.lanes.wait(Held { client, message, translated: true }, now.time);
                }
                self.count_in_flight(client, -1);
                let what = "the server does not read what waits for it";
                Self::overloaded(client, &id, Some(&server), what, now);
            }
            Some(Owner::Router(Errand::List { kind, .. })) => self.missed(&server, kind, now),
            Some(Owner::Router(Errand::Initialize | Errand::Ping { .. } | Errand::Forgotten)) | None => {}
        }
    }

    fn time_out(&mut self, instance_id: InstanceId, number: u64, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let server = instance.server.clone();
        let Some(request) = instance.take(number) else { return };
        if let Owner::Client { client, id, cancelled: true, .. } = request.owner {
            return now.dropped(client, id);
        }
        now.to_server(instance_id, cancel(number, "no answer in time"));
        match request.owner {
            Owner::Client { client, id, wish, .. } => {
                self.count_in_flight(client, -1);
                let data = FailureData {
                    server: Some(&server),
                    tool: tool_of(&wish),
                    ..FailureData::new(Source::Daemon, Failure::TimedOut)
                };
                let text = format!(
                    "server \"{server}\" did not answer in time; the request was cancelled and may have been carried out"
                );
                now.fail(client, &id, &text, &data);
            }
            Owner::Router(Errand::List { kind, .. }) => self.missed(&server, kind, now),
            Owner::Router(Errand::Initialize | Errand::Ping { .. } | Errand::Forgotten) => {}
        }
    }
}

fn is_eager(policy: &Policy) -> bool {
    policy.eager && policy.share != Share::Client
}

impl Server {
    pub(crate) fn new(policy: Policy) -> Self {
        Server {
            policy,
            catalogue: Catalogue::default(),
            health: Health::default(),
            next_number: 1,
            said: None,
            interrupted: BTreeSet::new(),
            repeatable: BTreeSet::new(),
        }
    }
}

impl Ready {
    /// What it offers of this kind.
    pub(crate) fn offer(&self, kind: Kind) -> Offer {
        match kind {
            Kind::Tools => self.capabilities.tools,
            Kind::Prompts => self.capabilities.prompts,
            Kind::Resources | Kind::Templates => self.capabilities.resources,
        }
    }

    pub(crate) fn of(result: Bytes) -> Option<Self> {
        let whole = 0..result.len();
        let version =
            json::string(&result, json::find(&result, whole.clone(), "protocolVersion")?)?.into_owned();
        let find = |path: &[&str]| json::find_path(&result, whole.clone(), path);
        let offer = |name| match find(&["capabilities", name]) {
            None => Offer::Nothing,
            Some(_) => match find(&["capabilities", name, "listChanged"]) {
                Some(announced) if &result[announced.clone()] == b"true" => Offer::Announced,
                _ => Offer::Lists,
            },
        };
        let capabilities = Capabilities {
            tools: offer("tools"),
            prompts: offer("prompts"),
            resources: offer("resources"),
            logging: find(&["capabilities", "logging"]).is_some(),
        };
        Some(Ready { result, version, capabilities })
    }
}

fn tool_of(wish: &Wish) -> Option<&str> {
    match wish {
        Wish::Call { tool } => Some(tool),
        Wish::Nothing | Wish::List { .. } | Wish::SetLevel(_) | Wish::Subscribe(_) | Wish::Unsubscribe(_) => {
            None
        }
    }
}

fn crashed(client: ClientId, id: &Id, server: &Arc<str>, wish: &Wish, why: &Down, now: &mut Now<'_>) {
    let hint = format!("exai logs {server}");
    let data = FailureData {
        server: Some(server),
        tool: tool_of(wish),
        hint: Some(&hint),
        stderr_tail: Some(&*why.stderr_tail).filter(|tail| !tail.is_empty()),
        ..FailureData::new(Source::Daemon, Failure::ServerCrashed)
    };
    let text = format!(
        "server \"{server}\" {} before it answered; the request may or may not have been carried out",
        why.reason
    );
    now.fail(client, id, &text, &data);
}

/// A request as its client sent it, but for names that are the server's own now.
fn as_it_came(bytes: Bytes, id: &Id, token: Option<&Id>) -> Option<Message> {
    let message = Message::parse(bytes).ok()?;
    let exai_proto::Kind::Request { id: at, params, .. } = message.kind() else { return None };
    let mut edits = vec![Edit { at: at.clone(), with: id.as_json().to_vec() }];
    if let (Some(token), Some(at)) = (token, Params::of(&message, params.as_ref())?.token) {
        edits.push(Edit { at, with: token.as_json().to_vec() });
    }
    Message::parse(message.edited(edits)).ok()
}

fn cancel(number: u64, reason: &str) -> Bytes {
    answer::notify(
        "notifications/cancelled",
        &format!("{{\"requestId\":{number},\"reason\":{}}}", json::quote(reason)),
    )
}
