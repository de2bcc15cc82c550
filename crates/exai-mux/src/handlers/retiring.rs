//! Instances of servers that were changed or removed. They get no new request, and end when they have answered those
//! they have.
//!
//! No share key leads to a retiring instance, and no client is attached to it. It is stopped when the last request of
//! a client is answered, cancelled or given up.

use crate::instance::Phase;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::event::Down;
use crate::types::ids::InstanceId;

impl Router {
    /// Retires all instances of a server. Returns the requests that they were not given yet.
    pub(crate) fn retire_instances(
        &mut self,
        server: &str,
        at_once: bool,
        cx: &mut EventContext<'_>,
    ) -> Vec<Waiting> {
        let current = self.instances.current_of_server(server);
        let ids: Vec<InstanceId> = current.iter().map(|(id, _)| *id).collect();
        let mut displaced = Vec::new();
        for id in ids {
            let Some(instance) = self.instances.get_mut(id) else { continue };
            if let Phase::Starting { waiting, .. } = &mut instance.phase {
                displaced.extend(waiting.take_all());
            }
            displaced.extend(instance.fair_queue.take_all().into_iter().map(Waiting::Call));
            if at_once || !self.is_working(id) {
                self.stop_replaced_instance(id, cx);
                continue;
            }
            self.note_interrupted(id);
            self.instances.retire_instance(id);
            self.clients.detach_all(id);
        }
        displaced
    }

    /// Sends displaced requests to an instance of the current configuration.
    pub(crate) fn resend_displaced(
        &mut self,
        server: &str,
        displaced: Vec<Waiting>,
        cx: &mut EventContext<'_>,
    ) {
        for waiting in displaced {
            match waiting {
                Waiting::Initialize { client, id } => self.initialize_at_server(client, server, id, cx),
                Waiting::Discover { client, id, .. } => self.discover_server(client, server, id, cx),
                Waiting::Call(queued) => self.send_to_server(server, queued, cx),
                Waiting::List(..) => {}
            }
        }
    }

    /// Stops a retiring instance that has answered everything.
    pub(crate) fn stop_idle_retiring(&mut self, id: InstanceId, cx: &mut EventContext<'_>) {
        if self.instances.get(id).is_some_and(|instance| instance.retiring) && !self.is_working(id) {
            self.stop_replaced_instance(id, cx);
        }
    }

    /// Whether a client waits for an answer of the instance.
    fn is_working(&self, id: InstanceId) -> bool {
        self.instances
            .get(id)
            .is_some_and(|instance| instance.in_flight.calls().any(|call| self.calls.is_wanted(call)))
    }

    fn stop_replaced_instance(&mut self, id: InstanceId, cx: &mut EventContext<'_>) {
        self.stop_instance(id, &Down::because("was changed in the configuration"), cx);
    }
}
