//! How instances, clients and requests end, and what time does.

use crate::configure::is_eager;
use crate::policy::ShareKey;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::json::Edit;
use exai_proto::{Id, Message, Segments, json};

use crate::catalogue::{KINDS, Kind};
use crate::event::{About, ClientId, Down, Effect, InstanceId, Unsent};
use crate::instance::{Errand, Instance, Owner, Phase, Waiting, Wish};
use crate::lanes::Held;
use crate::retire::Orphaned;
use crate::router::{Now, Router};

impl Router {
    /// The process is gone, or never came.
    pub(crate) fn down(&mut self, instance: InstanceId, why: &Down, now: &mut Now<'_>) {
        // What was stopped on purpose is not known here any more.
        if let Some(instance) = self.instances.get(&instance).filter(|instance| !instance.retiring) {
            let (name, run) = (instance.server.clone(), instance.run());
            let waits = |kind: &Kind| self.gatherings.iter().any(|waiting| waiting.waits_for(&name, *kind));
            let waited: Vec<Kind> = KINDS.into_iter().filter(waits).collect();
            if let Some(server) = self.server_mut(&name) {
                let limit = server.policy.crash_limit;
                server.health.ended(&name, why, run, limit, now.time);
                for kind in waited {
                    server.listing.missed(kind);
                }
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
        server.catalogue.run_ended();
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
        let mut withdrawn = Vec::new();
        for (&id, client) in &mut self.clients {
            client.detach(instance_id);
            let asked = client.asked.extract_if(|_, asked| asked.instance == instance_id);
            withdrawn.extend(asked.map(|(number, _)| (number, id)));
        }
        // Nobody waits for the answers: a question on a client's screen may go.
        withdrawn.sort_unstable();
        for (number, client) in withdrawn {
            now.to_client(client, cancel(number, "the server that has asked has ended"), About::Session);
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
                    Waiting::List(..) => {}
                }
            }
        }
        for kind in KINDS {
            self.missed(&server, kind, now);
        }
        if let Some(server) = self.server_mut(&server) {
            server.listing.forget_waiting();
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
        self.news.forget(client_id);
        for server in &mut self.servers {
            server.catalogue.owed.retain(|(client, _)| *client != client_id);
            server.interrupted.remove(&client_id);
        }
    }

    /// A client no longer uses an instance: what it asked for there is cancelled, and what it was asked is
    /// declined. Returns the requests that get no answer.
    pub(crate) fn leave(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        reason: &str,
        now: &mut Now<'_>,
    ) -> Vec<(Id, Left)> {
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
                    dropped.extend(waiting.id().map(|id| (id, Left::Unsent)));
                }
                !leaves
            });
        }
        for held in instance.lanes.of(client_id) {
            client.in_flight = client.in_flight.saturating_sub(1);
            dropped.extend(held.id().map(|id| (id, Left::Unsent)));
        }
        let mut numbers = Vec::new();
        for (&number, request) in &mut instance.in_flight {
            if let Owner::Client { client: owner, id, cancelled, .. } = &request.owner
                && *owner == client_id
            {
                numbers.push((number, id.clone(), *cancelled));
                // A server that heeds the cancellation will not answer: its place must not be kept for that.
                request.cancel(now.time);
                request.owner = Owner::Router(Errand::Cancelled);
            }
        }
        numbers.sort_unstable_by_key(|(number, ..)| *number);
        for (number, id, cancelled) in numbers {
            if !cancelled {
                client.in_flight = client.in_flight.saturating_sub(1);
                now.to_server(instance_id, cancel(number, reason));
            }
            dropped.push((id, if cancelled { Left::Cancelled } else { Left::Sent }));
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
        self.tell_news(now);
        self.start_wanted(now);
        let mut ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        ids.sort();
        for id in ids {
            self.tick_instance(id, now);
        }
    }

    pub(crate) fn tick_instance(&mut self, id: InstanceId, now: &mut Now<'_>) {
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
        let Some(instance) = self.instances.get(&id) else { return };
        let idle_end = self.idle_end(instance);
        if idle_end.is_some_and(|end| end <= now.time) {
            return self.stop_idle(id, now);
        }
        let Some(instance) = self.instances.get_mut(&id) else { return };
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

    /// When an instance that no client uses is stopped; `None` while it works, or is to stay.
    pub(crate) fn idle_end(&self, instance: &Instance) -> Option<Instant> {
        let since = instance.idle_since.filter(|_| instance.in_flight.is_empty())?;
        let policy = self.servers.iter().find(|server| server.policy.name == instance.server);
        // Of an eager server the run that was started for nobody in particular stays.
        let eager =
            policy.is_some_and(|server| is_eager(&server.policy)) && instance.key == ShareKey::common("{}");
        if eager {
            return None;
        }
        // One that was a single client's own is of use to nobody any more.
        let idle_stop = policy.filter(|_| instance.key.client.is_none());
        Some(since + idle_stop.map_or(Duration::ZERO, |server| server.policy.idle_stop))
    }

    /// A request that the server does not read.
    pub(crate) fn unsent(&mut self, instance_id: InstanceId, number: u64, why: Unsent, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let server = instance.server.clone();
        match instance.take(number).map(|request| request.owner) {
            Some(Owner::Client { client, id, cancelled: true, .. }) => now.dropped(client, id),
            Some(Owner::Client { client, id, token, wish, .. }) => {
                if let Unsent::Ending(bytes) = why
                    && let Some(message) = as_it_came(bytes, &id, token.as_ref())
                {
                    instance.lanes.close();
                    let tried = if let Wish::Read(read) = wish { read.tried } else { Vec::new() };
                    return instance.lanes.wait(Held { client, message, translated: true, tried }, now.time);
                }
                self.count_in_flight(client, -1);
                let what = "the server does not read what waits for it";
                Self::overloaded(client, &id, Some(&server), what, now);
                // Its place is free.
                self.send_next(instance_id, now);
            }
            Some(Owner::Router(Errand::List { kind, .. })) => self.missed(&server, kind, now),
            Some(Owner::Router(
                Errand::Initialize | Errand::Ping { .. } | Errand::Forgotten | Errand::Cancelled,
            ))
            | None => {}
        }
    }

    pub(crate) fn time_out(&mut self, instance_id: InstanceId, number: u64, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let server = instance.server.clone();
        let Some(request) = instance.take(number) else { return };
        match request.owner {
            Owner::Client { client, id, cancelled: true, .. } => return now.dropped(client, id),
            Owner::Router(Errand::Cancelled) => return,
            Owner::Client { .. } | Owner::Router(_) => {}
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
            Owner::Router(
                Errand::Initialize | Errand::Ping { .. } | Errand::Forgotten | Errand::Cancelled,
            ) => {}
        }
    }
}

/// What had become of a request when its client left the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The server never heard of it.
    Unsent,
    /// The server may have carried it out.
    Sent,
    /// Its client did not want it any more.
    Cancelled,
}

fn tool_of(wish: &Wish) -> Option<&str> {
    match wish {
        Wish::Call { tool } => Some(tool),
        Wish::Nothing
        | Wish::List { .. }
        | Wish::Read(_)
        | Wish::SetLevel(_)
        | Wish::Subscribe(_)
        | Wish::Unsubscribe(_) => None,
    }
}

fn crashed(client: ClientId, id: &Id, server: &Arc<str>, wish: &Wish, why: &Down, now: &mut Now<'_>) {
    let hint = why.command(server);
    let data = FailureData {
        server: Some(server),
        tool: tool_of(wish),
        hint: hint.as_deref(),
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
fn as_it_came(bytes: Segments, id: &Id, token: Option<&Id>) -> Option<Message> {
    let message = Message::parse(bytes.into_whole()).ok()?;
    let exai_proto::Kind::Request { id: at, .. } = message.kind() else { return None };
    let mut edits = vec![Edit { at: at.clone(), with: id.as_json().to_vec() }];
    if let (Some(token), Some(at)) = (token, message.params()?.token.clone()) {
        edits.push(Edit { at, with: token.as_json().to_vec() });
    }
    Message::parse(message.edited(edits).into_whole()).ok()
}

fn cancel(number: u64, reason: &str) -> Bytes {
    answer::notify(
        "notifications/cancelled",
        &format!("{{\"requestId\":{number},\"reason\":{}}}", json::quote(reason)),
    )
}
