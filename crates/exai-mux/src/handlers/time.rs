//! What time does.

use std::time::{Duration, Instant};

use crate::handlers::sending::as_it_came;
use crate::instance::fair_queue::QueuedRequest;
use crate::instance::request::{InternalRequest, OnSuccess, Owner};
use crate::instance::{Instance, Phase};
use crate::limits::TICK_INTERVAL;
use crate::router::Router;
use crate::router::event_context::{EventContext, cancel};
use crate::server::health::HealthState;
use crate::server::is_eager;
use crate::types::effect::Effect;
use crate::types::event::Unsent;
use crate::types::ids::InstanceId;
use crate::types::policy::ShareKey;

impl Router {
    pub(crate) fn handle_tick(&mut self, cx: &mut EventContext<'_>) {
        self.finish_aggregations(cx);
        self.send_due_notices(cx);
        self.start_wanted_servers(cx);
        for id in self.instances.ids() {
            self.tick_instance(id, cx);
        }
    }

    fn tick_instance(&mut self, id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let policy = self.servers.get(&instance.server);
        if let Phase::Starting { deadline, .. } = instance.phase {
            if deadline <= cx.time {
                let limit = policy.map_or(0, |server| server.policy.start_timeout.as_secs());
                let reason = format!("did not answer `initialize` within {limit} s");
                cx.effects.push(Effect::GiveUp { instance: id, reason });
            }
            return;
        }
        if instance.retiring {
            self.stop_idle_retiring(id, cx);
        }
        let Some(instance) = self.instances.get(id) else { return };
        let idle_end = self.find_idle_end(instance);
        if idle_end.is_some_and(|end| end <= cx.time) {
            return self.stop_idle(id, cx);
        }
        let Some(instance) = self.instances.get_mut(id) else { return };
        let late = instance.in_flight.find_late(cx.time);
        let expired = instance.fair_queue.take_expired(cx.time);
        let server = instance.server.clone();
        for number in late {
            self.time_out_request(id, number, cx);
        }
        for queued in expired {
            self.clients.uncount_request(queued.client);
            if let Some(id) = queued.id() {
                let what = "it has waited for 15 s for its turn at this server";
                cx.overloaded(queued.client, &id, Some(&server), what);
            }
        }
        self.send_queued(id, cx);
    }

    /// When an instance that no client uses is stopped; `None` while it works, or is to stay.
    fn find_idle_end(&self, instance: &Instance) -> Option<Instant> {
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
    pub(crate) fn handle_unsent(
        &mut self,
        instance_id: InstanceId,
        number: u64,
        why: Unsent,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let server = instance.server.clone();
        match instance.take_request(number).map(|request| request.owner) {
            Some(Owner::Client { client, id, cancelled: true, .. }) => cx.drop_request(client, id),
            Some(Owner::Client { client, id, token, on_success, .. }) => {
                if let Unsent::Ending(bytes) = why
                    && let Some(message) = as_it_came(bytes, &id, token.as_ref())
                {
                    instance.fair_queue.close();
                    let tried =
                        if let OnSuccess::ResourceRead(read) = on_success { read.tried } else { Vec::new() };
                    return instance
                        .fair_queue
                        .push(QueuedRequest { client, message, translated: true, tried }, cx.time);
                }
                self.clients.uncount_request(client);
                let what = "the server does not read what waits for it";
                cx.overloaded(client, &id, Some(&server), what);
                // Its place is free.
                self.send_queued(instance_id, cx);
            }
            Some(Owner::Router(InternalRequest::List { kind, .. })) => self.give_up_list(&server, kind, cx),
            Some(Owner::Router(
                InternalRequest::Initialize
                | InternalRequest::Ping { .. }
                | InternalRequest::Forgotten
                | InternalRequest::Cancelled,
            ))
            | None => {}
        }
    }

    fn time_out_request(&mut self, instance_id: InstanceId, number: u64, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let server = instance.server.clone();
        let Some(request) = instance.take_request(number) else { return };
        match request.owner {
            Owner::Client { client, id, cancelled: true, .. } => return cx.drop_request(client, id),
            Owner::Router(InternalRequest::Cancelled) => return,
            Owner::Client { .. } | Owner::Router(_) => {}
        }
        cx.send_to_server(instance_id, cancel(number, "no answer in time"));
        match request.owner {
            Owner::Client { client, id, on_success, .. } => {
                self.clients.uncount_request(client);
                cx.timed_out(client, &id, &server, &on_success);
            }
            Owner::Router(InternalRequest::List { kind, .. }) => self.give_up_list(&server, kind, cx),
            Owner::Router(
                InternalRequest::Initialize
                | InternalRequest::Ping { .. }
                | InternalRequest::Forgotten
                | InternalRequest::Cancelled,
            ) => {}
        }
    }

    /// When the next [`crate::Event::Tick`] is due, or `None` while nothing has a deadline. What happens may change that.
    pub fn next_tick(&self, time: Instant) -> Option<Instant> {
        let instances =
            self.instances.iter().filter_map(|(_, instance)| self.find_next_tick_of(instance, time));
        let waited_for = self.servers.iter().filter(|server| self.is_wanted(server));
        let tries = waited_for.filter_map(|server| match server.health.state() {
            // Nothing stands in the way of those who were served before; an eager server may find no place.
            HealthState::Well if !server.interrupted.is_empty() => Some(time),
            HealthState::Well => Some(time + TICK_INTERVAL),
            HealthState::Resting { until, .. } => Some(*until),
            HealthState::Failed { .. } => None,
        });
        // Who waits for news of lists is told in time as well.
        let news = self
            .servers
            .iter()
            .filter_map(|server| server.announced_changes.due())
            .chain(self.list_changed_notices.due());
        self.list_aggregations
            .next_deadline()
            .into_iter()
            .chain(instances)
            .chain(tries)
            .chain(news)
            .min()
            .map(|at| at.max(time))
    }

    /// When an instance must be looked at next.
    fn find_next_tick_of(&self, instance: &Instance, time: Instant) -> Option<Instant> {
        if let Phase::Starting { deadline, .. } = instance.phase {
            return Some(deadline);
        }
        let answers = instance.in_flight.next_deadline();
        // The end of what one works on that was taken out of use is not always an event.
        let retiring = instance.retiring.then(|| time + TICK_INTERVAL);
        [answers, instance.fair_queue.next_expiry(), self.find_idle_end(instance), retiring]
            .into_iter()
            .flatten()
            .min()
    }
}
