//! The end of the daemon: the hub waits for the requests under way, then stops the servers.

use std::collections::HashSet;
use std::time::Duration;

use exai_mux::{ClientId, InstanceId};
use exai_os::failpoint;
use exai_proto::link::ByeReason;

use super::Hub;
use crate::core::stopping::Stopping;
use crate::limits::SERVER_STOP_TIMEOUT;

impl Hub {
    pub(super) fn stop_if_drained(&mut self) {
        let drained = |stopping: &Stopping| !stopping.is_ending() && stopping.may_end(self.router.is_busy());
        if self.stopping.as_ref().is_some_and(drained) {
            self.stop_servers();
        }
    }

    /// Begins to stop the daemon, or shortens the grace of a stop that has begun.
    pub(super) fn begin_stop(&mut self, grace: Duration, reason: ByeReason) {
        tracing::info!(clients = self.clients.len(), ?grace, "stopping");
        if let Some(earlier) = &mut self.stopping {
            earlier.hurry(grace, reason);
        } else {
            let holding =
                if reason == ByeReason::Stop { HashSet::new() } else { self.ask_shims_to_hold(reason) };
            self.stopping = Some(Stopping::begin(grace, reason, holding));
        }
        self.stop_if_drained();
    }

    /// Asks the shims to hold what their clients say for the next daemon. Returns the shims that were asked.
    fn ask_shims_to_hold(&self, reason: ByeReason) -> HashSet<ClientId> {
        let shims = self.clients.iter().filter(|(_, client)| client.facts.is_shim());
        shims.filter(|(_, client)| client.sink.send_hold(reason)).map(|(&id, _)| id).collect()
    }

    fn stop_servers(&mut self) {
        self.stopping.iter_mut().for_each(Stopping::end);
        if let Err(error) = failpoint::reach("daemon.stopping") {
            tracing::warn!(%error, "stopping all the same");
        }
        let ids: Vec<InstanceId> = self.hosted.keys().copied().collect();
        for id in ids {
            self.stop_instance(id, "is not needed: the daemon stops", SERVER_STOP_TIMEOUT);
        }
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopping
            .as_ref()
            .is_some_and(|stopping| self.hosted.is_empty() && stopping.may_end(self.router.is_busy()))
    }
}
