//! What time does.

use std::time::{Duration, Instant};

use crate::handlers::sending::as_it_came;
use crate::instance::fair_queue::Held;
use crate::instance::request::{Errand, Owner, Wish};
use crate::instance::{Instance, Phase};
use crate::limits::TICK_INTERVAL;
use crate::router::Router;
use crate::router::now::{Now, cancel};
use crate::server::health::State;
use crate::server::is_eager;
use crate::types::effect::Effect;
use crate::types::event::Unsent;
use crate::types::ids::InstanceId;
use crate::types::policy::ShareKey;

impl Router {
    pub(crate) fn tick(&mut self, now: &mut Now<'_>) {
        self.end_gatherings(now);
        self.tell_news(now);
        self.start_wanted(now);
        for id in self.instances.ids() {
            self.tick_instance(id, now);
        }
    }

    fn tick_instance(&mut self, id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let policy = self.servers.get(&instance.server);
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
        let Some(instance) = self.instances.get(id) else { return };
        let idle_end = self.idle_end(instance);
        if idle_end.is_some_and(|end| end <= now.time) {
            return self.stop_idle(id, now);
        }
        let Some(instance) = self.instances.get_mut(id) else { return };
        let late = instance.in_flight.find_late(now.time);
        let expired = instance.lanes.expired(now.time);
        let server = instance.server.clone();
        for number in late {
            self.time_out(id, number, now);
        }
        for held in expired {
            self.clients.uncount_request(held.client);
            if let Some(id) = held.id() {
                let what = "it has waited for 15 s for its turn at this server";
                now.overloaded(held.client, &id, Some(&server), what);
            }
        }
        self.send_next(id, now);
    }

    /// When an instance that no client uses is stopped; `None` while it works, or is to stay.
    fn idle_end(&self, instance: &Instance) -> Option<Instant> {
        let since = instance.idle_since.filter(|_| instance.in_flight.is_empty())?;
        let policy = self.servers.get(&instance.server);
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
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let server = instance.server.clone();
        match instance.take_request(number).map(|request| request.owner) {
            Some(Owner::Client { client, id, cancelled: true, .. }) => now.dropped(client, id),
            Some(Owner::Client { client, id, token, wish, .. }) => {
                if let Unsent::Ending(bytes) = why
                    && let Some(message) = as_it_came(bytes, &id, token.as_ref())
                {
                    instance.lanes.close();
                    let tried = if let Wish::Read(read) = wish { read.tried } else { Vec::new() };
                    return instance.lanes.wait(Held { client, message, translated: true, tried }, now.time);
                }
                self.clients.uncount_request(client);
                let what = "the server does not read what waits for it";
                now.overloaded(client, &id, Some(&server), what);
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

    fn time_out(&mut self, instance_id: InstanceId, number: u64, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let server = instance.server.clone();
        let Some(request) = instance.take_request(number) else { return };
        match request.owner {
            Owner::Client { client, id, cancelled: true, .. } => return now.dropped(client, id),
            Owner::Router(Errand::Cancelled) => return,
            Owner::Client { .. } | Owner::Router(_) => {}
        }
        now.to_server(instance_id, cancel(number, "no answer in time"));
        match request.owner {
            Owner::Client { client, id, wish, .. } => {
                self.clients.uncount_request(client);
                now.timed_out(client, &id, &server, &wish);
            }
            Owner::Router(Errand::List { kind, .. }) => self.missed(&server, kind, now),
            Owner::Router(
                Errand::Initialize | Errand::Ping { .. } | Errand::Forgotten | Errand::Cancelled,
            ) => {}
        }
    }

    /// When the next [`crate::Event::Tick`] is due, or `None` while nothing has a deadline. What happens may change that.
    pub fn next_tick(&self, time: Instant) -> Option<Instant> {
        let instances = self.instances.iter().filter_map(|(_, instance)| self.next_look(instance, time));
        let waited_for = self.servers.iter().filter(|server| self.is_wanted(server));
        let tries = waited_for.filter_map(|server| match server.health.state() {
            // Nothing stands in the way of those who were served before; an eager server may find no place.
            State::Well if !server.interrupted.is_empty() => Some(time),
            State::Well => Some(time + TICK_INTERVAL),
            State::Resting { until, .. } => Some(*until),
            State::Failed { .. } => None,
        });
        // Who waits for news of lists is told in time as well.
        let news = self.servers.iter().filter_map(|server| server.changes.due()).chain(self.news.due());
        self.gatherings
            .next_deadline()
            .into_iter()
            .chain(instances)
            .chain(tries)
            .chain(news)
            .min()
            .map(|at| at.max(time))
    }

    /// When an instance must be looked at next.
    fn next_look(&self, instance: &Instance, time: Instant) -> Option<Instant> {
        if let Phase::Starting { deadline, .. } = instance.phase {
            return Some(deadline);
        }
        let answers = instance.in_flight.next_deadline();
        // The end of what one works on that was taken out of use is not always an event.
        let retiring = instance.retiring.then(|| time + TICK_INTERVAL);
        [answers, instance.lanes.next_expiry(), self.idle_end(instance), retiring].into_iter().flatten().min()
    }
}
