//! Copies what the hub knows, for the documents.

use std::collections::BTreeSet;

use exai_config::ServerKind;
use exai_os::clock;
use exai_proto::documents::ServerState;

use super::{Hub, InstanceState};
use crate::observe::counters::Present;
use crate::observe::facts::{ClientFacts, Facts, InstanceFacts};

impl Hub {
    fn count_present(&self) -> Present {
        Present {
            server_crashes: self.restarts.values().map(|&times| u64::from(times)).sum(),
            uncounted: self.clients.values().filter(|client| !client.is_shown()).count(),
            queued_bytes: self.clients.values().map(|client| client.sink.queued_bytes()).sum(),
            unfinished_bytes: self.host.input_budget.claimed_bytes(),
            tasks: self.host.tasks.len(),
            hub_queue: self.handle.waiting(),
        }
    }

    fn find_sse_servers(&self) -> BTreeSet<String> {
        let speaks_it = |server: &&str| {
            let config = self.config.servers.get(server);
            let url = config
                .filter(|config| config.kind() == ServerKind::Remote)
                .and_then(|config| config.url.as_deref());
            url.is_some_and(|url| self.host.remote_clients.speaks_sse(url))
        };
        self.config.servers.names().filter(speaks_it).map(str::to_owned).collect()
    }

    /// What the documents need. They are put together on another thread, so the facts are copied.
    pub(super) fn copy_facts(&self) -> Facts {
        let instances = self.hosted.iter().map(|(&id, hosted)| {
            let (root_pid, state) = match &hosted.body {
                InstanceState::Running(running) => (running.root_pid(), None),
                InstanceState::Stopping(running) => (running.root_pid(), Some(ServerState::Stopping)),
                InstanceState::Waiting | InstanceState::Spawning => (None, Some(ServerState::Starting)),
                InstanceState::Unwanted => (None, Some(ServerState::Stopping)),
            };
            InstanceFacts {
                id,
                server: hosted.server.clone(),
                number: hosted.number,
                started_at: hosted.started_at,
                restarts: self.restarts.get(&hosted.server).copied().unwrap_or_default(),
                root_pid,
                state,
            }
        });
        Facts {
            daemon: self.host.daemon.clone(),
            stopping: self.stopping.is_some(),
            clients: self
                .clients
                .iter()
                .map(|(&id, client)| (id, ClientFacts { shown: client.is_shown(), ..client.facts.clone() }))
                .collect(),
            session_processes: self
                .clients
                .iter()
                .filter_map(|(&id, client)| Some((id, client.sink.owner_pid()?)))
                .collect(),
            router_clients: self.router.clients(),
            servers: self.router.servers(clock::now()),
            config: self.config.clone(),
            instances: instances.collect(),
            sse_servers: self.find_sse_servers(),
            garbles: self.garbles.iter().map(|(server, garble)| (server.clone(), garble.clone())).collect(),
            counters: self.counters.document(&self.count_present(), &self.router.counts()),
            monitor: self.host.monitor.clone(),
        }
    }
}
