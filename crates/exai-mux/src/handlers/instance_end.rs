//! How instances end.

use crate::handlers::retiring::DisplacedRequest;
use crate::instance::Phase;
use crate::instance::request::Owner;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::{EventContext, cancel};
use crate::types::effect::{About, Effect};
use crate::types::event::Down;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::list_kind::{LIST_KINDS, ListKind};

impl Router {
    /// The process is gone, or never came.
    pub(crate) fn handle_instance_end(
        &mut self,
        instance: InstanceId,
        why: &Down,
        cx: &mut EventContext<'_>,
    ) {
        // What was stopped on purpose is not known here any more.
        if let Some(instance) = self.instances.get_current(instance) {
            let (name, run) = (instance.server.clone(), instance.run_progress());
            let waits = |kind: &ListKind| self.list_aggregations.wait_for(&name, *kind);
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

    /// Remembers whom a run that ends leaves without what it has told them so far.
    pub(crate) fn note_interrupted(&mut self, instance: InstanceId) {
        let Some(instance) = self.instances.get_current(instance) else {
            return;
        };
        let (name, was_ready) = (instance.server.clone(), instance.ready().is_some());
        let clients = instance.clients.clone();
        let aggregating = self.clients.aggregating_ids();
        // What was subscribed to before may be subscribed to by nobody yet who is attached again.
        let subscribed = |client: &&ClientId| {
            let client = self.clients.get(**client);
            client.is_some_and(|client| client.subscriptions.iter().any(|(server, _)| *server == name))
        };
        let interrupted: Vec<ClientId> = clients.iter().filter(subscribed).copied().collect();
        let Some(server) = self.servers.get_mut(&name) else { return };
        server.interrupted.extend(interrupted);
        if !was_ready {
            return;
        }
        // The next run may have other lists: who knows them is told if so.
        server.catalogue.run_ended();
        let known = LIST_KINDS.map(|kind| server.catalogue.list(kind).map(|_| kind));
        for kind in known.into_iter().flatten() {
            for client in clients.iter().chain(&aggregating) {
                server.catalogue.note_pending_list_changed(*client, kind);
            }
        }
    }

    /// Forgets an instance; everybody who waited for it is told.
    pub(crate) fn forget_instance(&mut self, instance_id: InstanceId, why: &Down, cx: &mut EventContext<'_>) {
        self.note_interrupted(instance_id);
        let Some(mut instance) = self.instances.remove_instance(instance_id) else { return };
        self.clients.detach_all(instance_id);
        // Nobody waits for the answers: a question on a client's screen may go.
        for (number, client) in self.questions.take_of_instance(instance_id) {
            cx.send_to_client(client, cancel(number, "the server that has asked has ended"), About::Session);
        }
        let server = instance.server.clone();
        for request in instance.in_flight.into_ordered() {
            if let Owner::Client { client, id, on_success, cancelled, .. } = request.owner {
                if cancelled {
                    cx.drop_request(client, id);
                } else {
                    self.clients.uncount_request(client);
                    cx.crashed(client, &id, &server, &on_success, why);
                }
            }
        }
        // What was never sent is for the next run.
        let unsent: Vec<DisplacedRequest> =
            instance.fair_queue.take_all().into_iter().map(DisplacedRequest::from).collect();
        if let Phase::Starting { mut waiting, .. } = instance.phase {
            for waiting in waiting.take_all() {
                match waiting {
                    Waiting::Initialize { client, id } => cx.unavailable(client, &id, &server, why),
                    Waiting::Message(queued) => {
                        self.clients.uncount_request(queued.client);
                        if let Some(id) = queued.id() {
                            cx.unavailable(queued.client, &id, &server, why);
                        }
                    }
                    Waiting::List(..) => {}
                }
            }
        }
        for kind in LIST_KINDS {
            self.give_up_list(&server, kind, cx);
        }
        if let Some(server) = self.servers.get_mut(&server) {
            server.list_health.forget_waiting();
        }
        self.uncount_displaced(&unsent);
        self.resend_displaced(&server, unsent, cx);
    }

    pub(crate) fn stop_instances(&mut self, server: &str, why: &Down, cx: &mut EventContext<'_>) {
        let ids: Vec<InstanceId> = self.instances.of_server(server).iter().map(|(id, _)| *id).collect();
        for id in ids {
            self.stop_instance(id, why, cx);
        }
    }

    /// Lets go of an instance and has it stopped.
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
