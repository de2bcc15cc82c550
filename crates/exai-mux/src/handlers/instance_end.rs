//! The end of an instance.

use crate::dialect::legacy::write_cancel;
use crate::instance::Phase;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::{About, Effect};
use crate::types::era::ERAS;
use crate::types::event::Down;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::list_kind::{LIST_KINDS, ListKind};

impl Router {
    /// The process is gone, or could not be started.
    pub(crate) fn handle_instance_end(
        &mut self,
        instance: InstanceId,
        why: &Down,
        cx: &mut EventContext<'_>,
    ) {
        if self.start_without_probe(instance, why, cx) {
            return;
        }
        // The router has forgotten an instance that it has stopped on purpose.
        if let Some(instance) = self.instances.get_current(instance) {
            let (name, era, run) = (instance.server.clone(), instance.era(), instance.run_progress());
            let waits = |kind: &ListKind| self.list_aggregations.wait_for(&(name.clone(), era, *kind));
            let waited: Vec<ListKind> = LIST_KINDS.into_iter().filter(waits).collect();
            if let Some(server) = self.servers.get_mut(&name) {
                let limit = server.policy.crash_limit;
                server.health.note_end(&name, why, run, limit, cx.time);
                for kind in waited {
                    server.list_health.note_missed(kind);
                }
            }
        }
        self.forget_instance(instance, why, cx);
    }

    /// Remembers the clients that know lists or subscriptions of an instance that ends.
    pub(crate) fn note_interrupted(&mut self, instance: InstanceId) {
        let Some(instance) = self.instances.get_current(instance) else {
            return;
        };
        let (name, era, was_ready) = (instance.server.clone(), instance.era(), instance.ready().is_some());
        let clients = instance.clients.clone();
        let aggregating = self.clients.aggregating_ids(&name);
        // A client may be attached again and not have restored its subscriptions yet, so the subscriptions of the
        // client count.
        let subscribed = |client: &&ClientId| {
            let client = self.clients.get(**client);
            client.is_some_and(|client| ERAS.into_iter().any(|of| client.awaits_news(&name, of)))
        };
        let interrupted: Vec<ClientId> = clients.iter().filter(subscribed).copied().collect();
        let Some(server) = self.servers.get_mut(&name) else { return };
        server.interrupted.extend(interrupted);
        if !was_ready {
            return;
        }
        // The next instance may have other lists. Clients that know the lists of this one are told if so.
        let catalogue = &mut server.offering_mut(era).catalogue;
        catalogue.run_ended();
        let known = LIST_KINDS.map(|kind| catalogue.list(kind).map(|_| kind));
        for kind in known.into_iter().flatten() {
            for client in clients.iter().chain(&aggregating) {
                catalogue.note_pending_list_changed(*client, kind);
            }
        }
    }

    /// Forgets an instance, and tells all clients that waited for it.
    fn forget_instance(&mut self, instance_id: InstanceId, why: &Down, cx: &mut EventContext<'_>) {
        self.note_interrupted(instance_id);
        let Some(mut instance) = self.instances.remove_instance(instance_id) else { return };
        self.clients.detach_all(instance_id);
        self.withdraw_questions(instance_id, cx);
        let (server, era) = (instance.server.clone(), instance.era());
        for request in instance.in_flight.into_ordered() {
            let call_id = match request.owner {
                Owner::Call(call_id) => call_id,
                Owner::Router(InternalRequest::Parked(state)) => {
                    self.parked_calls.take(&state);
                    continue;
                }
                Owner::Router(_) => continue,
            };
            let Some(call) = self.calls.finish_call(call_id) else { continue };
            if call.is_cancelled() {
                cx.drop_request(call_id.client, call.id);
            } else {
                cx.crashed(call_id.client, &call.id, &server, &call.on_success, why);
            }
        }
        // The next instance gets what was never sent to this one.
        let unsent: Vec<Waiting> = instance.fair_queue.take_all().into_iter().map(Waiting::Call).collect();
        if let Phase::Starting { mut waiting, .. } = instance.phase {
            for waiting in waiting.take_all() {
                match waiting {
                    Waiting::Initialize { client, id } | Waiting::Discover { client, id, .. } => {
                        cx.unavailable(client, &id, &server, why);
                    }
                    Waiting::Call(queued) => {
                        self.refuse_unavailable(&queued, &server, why, cx);
                    }
                    Waiting::List(..) => {}
                }
            }
        }
        for kind in LIST_KINDS {
            self.give_up_list((&server, era, kind), cx);
        }
        if let Some(server) = self.servers.get_mut(&server) {
            server.list_health.forget_waiting();
        }
        self.resend_displaced(&server, unsent, cx);
    }

    /// Tells clients that the server which has asked them is gone: they may withdraw the question from the screen.
    pub(crate) fn withdraw_questions(&mut self, instance: InstanceId, cx: &mut EventContext<'_>) {
        for (number, client) in self.questions.take_of_instance(instance) {
            let told = write_cancel(number, "the server that has asked has ended");
            cx.send_to_client(client, told, About::Session);
        }
    }

    pub(crate) fn stop_instances(&mut self, server: &str, why: &Down, cx: &mut EventContext<'_>) {
        let ids: Vec<InstanceId> = self.instances.of_server(server).iter().map(|(id, _)| *id).collect();
        for id in ids {
            self.stop_instance(id, why, cx);
        }
    }

    /// Forgets an instance and has it stopped.
    pub(crate) fn stop_instance(&mut self, id: InstanceId, why: &Down, cx: &mut EventContext<'_>) {
        self.forget_instance(id, why, cx);
        cx.effects.push(Effect::Stop { instance: id, reason: why.reason.clone() });
    }

    /// Stops an instance that no client uses.
    pub(crate) fn stop_idle(&mut self, id: InstanceId, cx: &mut EventContext<'_>) {
        let since = self.instances.get(id).and_then(|instance| instance.idle_since);
        let seconds = since.map_or(0, |since| cx.time.saturating_duration_since(since).as_secs());
        self.stop_instance(id, &Down::because(format!("was used by no client for {seconds} s")), cx);
    }
}
