//! How instances end.

use crate::handlers::retiring::Orphaned;
use crate::instance::Phase;
use crate::instance::request::Owner;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::now::{Now, cancel};
use crate::types::effect::{About, Effect};
use crate::types::event::Down;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::list_kind::{KINDS, Kind};

impl Router {
    /// The process is gone, or never came.
    pub(crate) fn down(&mut self, instance: InstanceId, why: &Down, now: &mut Now<'_>) {
        // What was stopped on purpose is not known here any more.
        if let Some(instance) = self.instances.get_current(instance) {
            let (name, run) = (instance.server.clone(), instance.run());
            let waits = |kind: &Kind| self.gatherings.wait_for(&name, *kind);
            let waited: Vec<Kind> = KINDS.into_iter().filter(waits).collect();
            if let Some(server) = self.servers.get_mut(&name) {
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
        let known = KINDS.map(|kind| server.catalogue.list(kind).map(|_| kind));
        for kind in known.into_iter().flatten() {
            for client in clients.iter().chain(&aggregating) {
                server.catalogue.owe(*client, kind);
            }
        }
    }

    /// Forgets an instance; everybody who waited for it is told.
    pub(crate) fn forget(&mut self, instance_id: InstanceId, why: &Down, now: &mut Now<'_>) {
        self.interrupt(instance_id);
        let Some(mut instance) = self.instances.remove_instance(instance_id) else { return };
        self.clients.detach_all(instance_id);
        // Nobody waits for the answers: a question on a client's screen may go.
        for (number, client) in self.questions.take_of_instance(instance_id) {
            now.to_client(client, cancel(number, "the server that has asked has ended"), About::Session);
        }
        let server = instance.server.clone();
        for request in instance.in_flight.into_ordered() {
            if let Owner::Client { client, id, wish, cancelled, .. } = request.owner {
                if cancelled {
                    now.dropped(client, id);
                } else {
                    self.clients.uncount_request(client);
                    now.crashed(client, &id, &server, &wish, why);
                }
            }
        }
        // What was never sent is for the next run.
        let unsent: Vec<Orphaned> = instance.lanes.all().into_iter().map(Orphaned::from).collect();
        if let Phase::Starting { mut waiting, .. } = instance.phase {
            for waiting in waiting.take_all() {
                match waiting {
                    Waiting::Initialize { client, id } => now.unavailable(client, &id, &server, why),
                    Waiting::Message(held) => {
                        self.clients.uncount_request(held.client);
                        if let Some(id) = held.id() {
                            now.unavailable(held.client, &id, &server, why);
                        }
                    }
                    Waiting::List(..) => {}
                }
            }
        }
        for kind in KINDS {
            self.missed(&server, kind, now);
        }
        if let Some(server) = self.servers.get_mut(&server) {
            server.listing.forget_waiting();
        }
        self.uncount(&unsent);
        self.adopt(&server, unsent, now);
    }

    pub(crate) fn stop_instances(&mut self, server: &str, why: &Down, now: &mut Now<'_>) {
        let ids: Vec<InstanceId> = self.instances.of_server(server).iter().map(|(id, _)| *id).collect();
        for id in ids {
            self.stop_instance(id, why, now);
        }
    }

    /// Lets go of an instance and has it stopped.
    pub(crate) fn stop_instance(&mut self, id: InstanceId, why: &Down, now: &mut Now<'_>) {
        self.forget(id, why, now);
        now.effects.push(Effect::Stop { instance: id, reason: why.reason.clone() });
    }

    /// Stops an instance that no client uses.
    pub(crate) fn stop_idle(&mut self, id: InstanceId, now: &mut Now<'_>) {
        let since = self.instances.get(id).and_then(|instance| instance.idle_since);
        let seconds = since.map_or(0, |since| now.time.saturating_duration_since(since).as_secs());
        self.stop_instance(id, &Down::because(format!("was used by no client for {seconds} s")), now);
    }
}
