//! Deadlines: what happens when time has passed, and when the router must look again.

use std::time::{Duration, Instant};

use crate::dialect::legacy::write_cancel;
use crate::handlers::sending::read_unsent;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::{Instance, Opening, Phase};
use crate::limits::TICK_INTERVAL;
use crate::router::Router;
use crate::router::calls::CallState;
use crate::router::event_context::EventContext;
use crate::server::health::HealthState;
use crate::server::{Server, is_eager};
use crate::types::effect::Effect;
use crate::types::event::Unsent;
use crate::types::ids::InstanceId;
use crate::types::policy::ShareKey;

/// What a server is told when its answer is no longer waited for.
const OUT_OF_TIME: &str = "no answer in time";

impl Router {
    pub(crate) fn handle_tick(&mut self, cx: &mut EventContext<'_>) {
        self.finish_aggregations(cx);
        self.expire_inputs(cx);
        self.park_gathered_calls(cx);
        self.expire_parked_calls(cx);
        self.expire_awaited_sign_ins(cx);
        self.acknowledge_late_relays(cx);
        self.send_due_notices(cx);
        self.start_wanted_servers(cx);
        for id in self.instances.ids() {
            self.tick_instance(id, cx);
        }
    }

    fn tick_instance(&mut self, id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let policy = self.servers.get(&instance.server);
        if let Phase::Starting { deadline, opening, .. } = &instance.phase {
            if *deadline <= cx.time {
                let limit = policy.map_or(0, |server| server.policy.start_timeout.as_secs());
                let reason = format!("did not answer {} within {limit} s", opening.unanswered());
                cx.effects.push(Effect::GiveUp { instance: id, reason });
                return;
            }
            self.tick_probe(id, cx);
            self.expire_discovers(id, cx);
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
            if let Some(call) = self.calls.finish_call(queued.call) {
                let what = "it has waited for 15 s for its turn at this server";
                cx.overloaded(queued.call.client, &call.id, Some(&server), what);
            }
        }
        self.send_queued(id, cx);
        self.reopen_listen(id, cx);
    }

    /// When an instance that no client uses is stopped. `None` while it works, or if it is to stay.
    fn find_idle_end(&self, instance: &Instance) -> Option<Instant> {
        let since = instance.idle_since.filter(|_| instance.in_flight.is_empty())?;
        let policy = self.servers.get(&instance.server);
        // Of an eager server the instance that was started without a client stays.
        let eager = policy.is_some_and(|server| is_eager(&server.policy))
            && instance.key == ShareKey::common("{}").in_era(instance.era());
        if eager {
            return None;
        }
        // An instance that belonged to one client is of no use to others.
        let idle_stop = policy.filter(|_| instance.key.client.is_none());
        Some(since + idle_stop.map_or(Duration::ZERO, |server| server.policy.idle_stop))
    }

    /// Handles a request that could not be written to the server.
    pub(crate) fn handle_unsent(
        &mut self,
        instance_id: InstanceId,
        number: u64,
        why: Unsent,
        cx: &mut EventContext<'_>,
    ) {
        if self.handle_unsent_listen(instance_id, number) || self.end_relay(instance_id, number, cx) {
            return;
        }
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let (server, era) = (instance.server.clone(), instance.era());
        match instance.take_request(number).map(|request| request.owner) {
            Some(Owner::Call(call_id)) => {
                let Some(call) = self.calls.get_mut(call_id) else { return };
                if let Unsent::Ending(bytes) = why
                    && !call.is_cancelled()
                    && let Some(queued) = read_unsent(bytes, call_id, call)
                {
                    call.state = CallState::Queued(instance_id);
                    instance.fair_queue.close();
                    return instance.fair_queue.push(queued, cx.time);
                }
                let Some(call) = self.calls.finish_call(call_id) else { return };
                if call.is_cancelled() {
                    return cx.drop_request(call_id.client, call.id);
                }
                let what = "the server does not read what waits for it";
                cx.overloaded(call_id.client, &call.id, Some(&server), what);
                // There is room for one more request now.
                self.send_queued(instance_id, cx);
            }
            Some(Owner::Router(InternalRequest::List { kind, .. })) => {
                self.give_up_list((&server, era, kind), cx);
            }
            Some(Owner::Router(
                InternalRequest::Initialize
                | InternalRequest::Discover
                | InternalRequest::Ping { .. }
                | InternalRequest::Parked(_)
                | InternalRequest::Forgotten
                | InternalRequest::Cancelled,
            ))
            | None => {}
        }
    }

    fn time_out_request(&mut self, instance_id: InstanceId, number: u64, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let (server, era) = (instance.server.clone(), instance.era());
        let Some(request) = instance.take_request(number) else { return };
        match request.owner {
            Owner::Call(call_id) => {
                let Some(call) = self.calls.finish_call(call_id) else { return };
                if call.is_cancelled() {
                    return cx.drop_request(call_id.client, call.id);
                }
                cx.send_to_server(instance_id, write_cancel(number, OUT_OF_TIME));
                cx.timed_out(call_id.client, &call.id, &server, &call.on_success);
            }
            Owner::Router(InternalRequest::Parked(state)) => {
                self.give_up_parked_call(&state, OUT_OF_TIME, cx);
            }
            // The server was told already.
            Owner::Router(InternalRequest::Cancelled) => {}
            Owner::Router(InternalRequest::List { kind, .. }) => {
                cx.send_to_server(instance_id, write_cancel(number, OUT_OF_TIME));
                self.give_up_list((&server, era, kind), cx);
            }
            Owner::Router(
                InternalRequest::Initialize
                | InternalRequest::Discover
                | InternalRequest::Ping { .. }
                | InternalRequest::Forgotten,
            ) => cx.send_to_server(instance_id, write_cancel(number, OUT_OF_TIME)),
        }
    }

    /// When the next [`crate::Event::Tick`] is due. `None` while nothing has a deadline. Every event may change that.
    pub fn next_tick(&self, time: Instant) -> Option<Instant> {
        let instances =
            self.instances.iter().filter_map(|(_, instance)| self.find_next_tick_of(instance, time));
        let waited_for = self.servers.iter().filter(|server| self.is_wanted(server));
        let tries = waited_for.filter_map(|server| {
            let has_left_clients = !server.interrupted.is_empty();
            let may_start = match server.health.state() {
                HealthState::Well if has_left_clients => time,
                // An eager server may find no place.
                HealthState::Well => time + TICK_INTERVAL,
                HealthState::Resting { until, .. } => *until,
                HealthState::SignedOut { .. } | HealthState::Failed { .. } => return None,
            };
            let is_full = has_left_clients && !self.has_room_for_instance(&server.policy.name);
            Some(if is_full { may_start.max(time + TICK_INTERVAL) } else { may_start })
        });
        // Clients that wait for notifications are told in time as well.
        let news = self
            .servers
            .iter()
            .flat_map(Server::offerings)
            .filter_map(|(_, offering)| offering.announced_changes.due())
            .chain(self.list_changed_notices.due());
        let listens = self.clients.iter().flat_map(|client| &client.listens);
        let unacknowledged = listens.filter_map(|listen| listen.server_may_say_until);
        self.list_aggregations
            .next_deadline()
            .into_iter()
            .chain(instances)
            .chain(tries)
            .chain(news)
            .chain(unacknowledged)
            .chain(self.awaited_inputs.next_deadline())
            .chain(self.parked_calls.next_deadline())
            .chain(self.awaited_sign_ins.next_deadline())
            .min()
            .map(|at| at.max(time))
    }

    /// When the router must look at an instance next.
    fn find_next_tick_of(&self, instance: &Instance, time: Instant) -> Option<Instant> {
        if let Phase::Starting { deadline, waiting, opening } = &instance.phase {
            let timeout = self.servers.get(&instance.server).map(|server| server.policy.start_timeout);
            let probe = match opening {
                Opening::Probe(probe) => timeout.and_then(|timeout| probe.due(timeout)),
                Opening::Initialize { .. } | Opening::Discover { .. } => None,
            };
            return [Some(*deadline), probe, waiting.next_discover_deadline()].into_iter().flatten().min();
        }
        let answers = instance.in_flight.next_deadline();
        // The end of the last request of a retiring instance is not always an event.
        let retiring = instance.retiring.then(|| time + TICK_INTERVAL);
        [answers, instance.fair_queue.next_expiry(), self.find_idle_end(instance), retiring]
            .into_iter()
            .flatten()
            .min()
    }
}
