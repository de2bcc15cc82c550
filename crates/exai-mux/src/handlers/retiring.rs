//! Instances of servers that were changed or removed: no new request goes to them, and what they have begun they end.
//!
//! A retiring instance is found by its number alone: no share key leads to it, and no client is attached to it. It is
//! stopped when the last request of a client is answered, cancelled or given up.

use crate::instance::Phase;
use crate::instance::fair_queue::QueuedRequest;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::event::Down;
use crate::types::ids::{ClientId, InstanceId};

/// What waits for a run of a server that will not get it.
pub(crate) struct DisplacedRequest {
    client: ClientId,
    waiting: Waiting,
}

impl From<QueuedRequest> for DisplacedRequest {
    fn from(queued: QueuedRequest) -> Self {
        DisplacedRequest { client: queued.client, waiting: Waiting::Message(queued) }
    }
}

impl Router {
    /// Takes the instances of a server out of use. Returns what waited in those that were not ready.
    pub(crate) fn retire_instances(
        &mut self,
        server: &str,
        at_once: bool,
        cx: &mut EventContext<'_>,
    ) -> Vec<DisplacedRequest> {
        let current = self.instances.current_of_server(server);
        let ids: Vec<InstanceId> = current.iter().map(|(id, _)| *id).collect();
        let mut displaced = Vec::new();
        for id in ids {
            let Some(instance) = self.instances.get_mut(id) else { continue };
            if let Phase::Starting { waiting, .. } = &mut instance.phase {
                let taken = waiting.take_all();
                let clients = taken.into_iter().filter_map(|waiting| Some((waiting.client()?, waiting)));
                displaced.extend(clients.map(|(client, waiting)| DisplacedRequest { client, waiting }));
            }
            displaced.extend(instance.fair_queue.take_all().into_iter().map(DisplacedRequest::from));
            if at_once || !self.is_working(id) {
                self.stop_replaced_instance(id, cx);
                continue;
            }
            self.note_interrupted(id);
            self.instances.retire_instance(id);
            self.clients.detach_all(id);
        }
        self.uncount_displaced(&displaced);
        displaced
    }

    /// They count again when they are adopted.
    pub(crate) fn uncount_displaced(&mut self, displaced: &[DisplacedRequest]) {
        for DisplacedRequest { client, waiting } in displaced {
            if let Waiting::Message(_) = waiting {
                self.clients.uncount_request(*client);
            }
        }
    }

    /// Sends what waited for the old configuration to what there is in the new one.
    pub(crate) fn resend_displaced(
        &mut self,
        server: &str,
        displaced: Vec<DisplacedRequest>,
        cx: &mut EventContext<'_>,
    ) {
        for DisplacedRequest { client, waiting } in displaced {
            match waiting {
                Waiting::Initialize { id, .. } => self.initialize_at_server(client, server, id, cx),
                Waiting::Message(queued) => self.send_to_server(server, queued, cx),
                Waiting::List(..) => {}
            }
        }
    }

    /// Ends a retiring instance that has nothing to do any more.
    pub(crate) fn stop_idle_retiring(&mut self, id: InstanceId, cx: &mut EventContext<'_>) {
        if self.instances.get(id).is_some_and(|instance| instance.retiring) && !self.is_working(id) {
            self.stop_replaced_instance(id, cx);
        }
    }

    /// Whether a client waits for an answer of it.
    fn is_working(&self, id: InstanceId) -> bool {
        self.instances.get(id).is_some_and(|instance| instance.in_flight.has_wanted())
    }

    fn stop_replaced_instance(&mut self, id: InstanceId, cx: &mut EventContext<'_>) {
        self.stop_instance(id, &Down::because("was changed in the configuration"), cx);
    }
}
