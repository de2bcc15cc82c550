//! Instances of servers that were changed or removed: no new request goes to them, and what they have begun they end.
//!
//! A retiring instance is found by its number alone: no share key leads to it, and no client is attached to it. It is
//! stopped when the last request of a client is answered, cancelled or given up.

use crate::instance::Phase;
use crate::instance::fair_queue::Held;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::now::Now;
use crate::types::event::Down;
use crate::types::ids::{ClientId, InstanceId};

/// What waits for a run of a server that will not get it.
pub(crate) struct Orphaned {
    client: ClientId,
    waiting: Waiting,
}

impl From<Held> for Orphaned {
    fn from(held: Held) -> Self {
        Orphaned { client: held.client, waiting: Waiting::Message(held) }
    }
}

impl Router {
    /// Takes the instances of a server out of use. Returns what waited in those that were not ready.
    pub(crate) fn retire(&mut self, server: &str, at_once: bool, now: &mut Now<'_>) -> Vec<Orphaned> {
        let current = self.instances.current_of_server(server);
        let ids: Vec<InstanceId> = current.iter().map(|(id, _)| *id).collect();
        let mut orphaned = Vec::new();
        for id in ids {
            let Some(instance) = self.instances.get_mut(id) else { continue };
            if let Phase::Starting { waiting, .. } = &mut instance.phase {
                let taken = waiting.take_all();
                let clients = taken.into_iter().filter_map(|waiting| Some((waiting.client()?, waiting)));
                orphaned.extend(clients.map(|(client, waiting)| Orphaned { client, waiting }));
            }
            orphaned.extend(instance.lanes.all().into_iter().map(Orphaned::from));
            if at_once || !self.is_working(id) {
                self.end(id, now);
                continue;
            }
            self.interrupt(id);
            self.instances.retire_instance(id);
            self.clients.detach_all(id);
        }
        self.uncount(&orphaned);
        orphaned
    }

    /// They count again when they are adopted.
    pub(crate) fn uncount(&mut self, orphaned: &[Orphaned]) {
        for Orphaned { client, waiting } in orphaned {
            if let Waiting::Message(_) = waiting {
                self.clients.uncount_request(*client);
            }
        }
    }

    /// Sends what waited for the old configuration to what there is in the new one.
    pub(crate) fn adopt(&mut self, server: &str, orphaned: Vec<Orphaned>, now: &mut Now<'_>) {
        for Orphaned { client, waiting } in orphaned {
            match waiting {
                Waiting::Initialize { id, .. } => self.introduce_to(client, server, id, now),
                Waiting::Message(held) => self.send_held(server, held, now),
                Waiting::List(..) => {}
            }
        }
    }

    /// Ends a retiring instance that has nothing to do any more.
    pub(crate) fn end_retired(&mut self, id: InstanceId, now: &mut Now<'_>) {
        if self.instances.get(id).is_some_and(|instance| instance.retiring) && !self.is_working(id) {
            self.end(id, now);
        }
    }

    /// Whether a client waits for an answer of it.
    fn is_working(&self, id: InstanceId) -> bool {
        self.instances.get(id).is_some_and(|instance| instance.in_flight.has_wanted())
    }

    fn end(&mut self, id: InstanceId, now: &mut Now<'_>) {
        self.stop_instance(id, &Down::because("was changed in the configuration"), now);
    }
}
