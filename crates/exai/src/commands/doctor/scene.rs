//! Facts that several checks need, gathered once.

use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::client_scene::ClientScene;
use super::outcome::CheckOutcome;
use crate::limits::MAX_RECORD_BYTES;
use exai_client::DaemonState;
use exai_client::limits::HELLO_TIMEOUT;
use exai_client::{DaemonConnector, LinkError};
use exai_config::{Config, ConfigError, Home};
use exai_os::process::{self, ProcessInfo};
use exai_os::{private, process_facts};
use exai_proto::documents::{DaemonRecord, Explanation, Status};
use exai_proto::link::{FromDaemon, Role, ToDaemon};

/// The facts of one moment.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) home: Home,
    pub(super) view: View,
    pub(super) record: Record,
    /// The explanations of the daemon's trees.
    pub(super) explanations: Vec<Explanation>,
    /// The process that holds `instance.lock`, as far as the system tells.
    pub(super) holder: Option<u32>,
    pub(super) processes: Vec<ProcessInfo>,
    pub(super) config: Result<Config, ConfigError>,
    clients: OnceLock<Result<ClientScene, String>>,
}

/// The state of the daemon, as the checks see it.
#[derive(Debug)]
pub(super) enum View {
    /// It answered hello, and perhaps gave its status.
    Answers {
        pid: u32,
        /// The peer of the link, as the kernel tells; `None` for a process that has no number here.
        kernel_pid: Option<u32>,
        build: String,
        took: Duration,
        status: Result<Box<Status>, String>,
    },
    /// It answers and refuses this program.
    Refuses { why: String, skew: bool },
    /// It holds the lock, and no record leads to it.
    Starting,
    /// It holds the lock and has stopped listening.
    Stopping,
    /// It holds the lock and is silent.
    Wedged { pid: u32, why: String },
    /// A record claims a daemon, and the lock is free.
    Stale,
    /// There is none.
    None,
    /// Its state cannot be found out.
    Unseen(String),
}

/// `daemon.json`.
#[derive(Debug)]
pub(super) enum Record {
    Missing,
    /// The record is there and cannot be used.
    Broken(String),
    Found(Box<DaemonRecord>),
}

impl Scene {
    pub(super) fn look(home: Home) -> Scene {
        let connector = DaemonConnector::new(home.clone(), exai_client::hello(Role::Command));
        let mut explanations = Vec::new();
        let view = view(&connector, &mut explanations);
        Scene {
            view,
            explanations,
            record: record(&home),
            // Without /proc the holder is not known.
            holder: exai_os::lock::holder(&home.instance_lock()).ok().flatten(),
            processes: process::snapshot().unwrap_or_default(),
            config: exai_config::load(&home),
            clients: OnceLock::new(),
            home,
        }
    }

    /// Makes a check of what the clients have. The first check that asks reads their files, and the others wait: these files
    /// may be on another file system, and one that hangs must not keep the other checks.
    pub(super) fn check_clients(&self, check: impl FnOnce(&ClientScene) -> CheckOutcome) -> CheckOutcome {
        match self.clients.get_or_init(|| ClientScene::look(&self.home)) {
            Ok(clients) => check(clients),
            Err(why) => CheckOutcome::skip(why),
        }
    }

    /// The daemon's process, by the best source: the daemon itself, the lock, or a proven record.
    pub(super) fn daemon_pid(&self) -> Option<u32> {
        match &self.view {
            View::Answers { pid, .. } | View::Wedged { pid, .. } => Some(*pid),
            View::Refuses { .. } | View::Starting | View::Stopping | View::Unseen(_) => self.holder,
            View::Stale | View::None => None,
        }
    }

    /// Whether the daemon answers and its process cannot be inspected: its own pid differs from the one that the
    /// kernel tells here, or there is none here. Then one of both processes is in a container.
    pub(super) fn is_elsewhere(&self) -> bool {
        let own = self.status().and_then(|status| status.daemon.as_ref()).map(|daemon| daemon.pid);
        match &self.view {
            View::Answers { kernel_pid, .. } => *kernel_pid != own.or(*kernel_pid) || kernel_pid.is_none(),
            _ => false,
        }
    }

    /// The status of the daemon, if it gave one.
    pub(super) fn status(&self) -> Option<&Status> {
        match &self.view {
            View::Answers { status: Ok(status), .. } => Some(status),
            _ => None,
        }
    }

    /// Whether a daemon lives, answering or not.
    pub(super) fn daemon_lives(&self) -> bool {
        !matches!(self.view, View::Stale | View::None | View::Unseen(_))
    }

    pub(super) fn process(&self, pid: u32) -> Option<&ProcessInfo> {
        self.processes.iter().find(|process| process.pid == pid)
    }

    /// `node (pid 7)`, or `pid 7`.
    pub(super) fn name(&self, pid: u32) -> String {
        match self.process(pid) {
            Some(process) => format!("{} (pid {pid})", process.name),
            None => format!("pid {pid}"),
        }
    }

    /// How long ago the process started, where the system says.
    pub(super) fn age(&self, pid: u32) -> Option<Duration> {
        process_facts::age(self.process(pid)?.start).ok()?
    }

    /// The processes above this one, nearest first.
    pub(super) fn above(&self, pid: u32) -> impl Iterator<Item = &ProcessInfo> {
        let parent = |child: &ProcessInfo| {
            self.process(child.ppid).filter(|parent| parent.start <= child.start && parent.pid != child.pid)
        };
        // There can be no cycle, but if there is one it must not hang this program.
        std::iter::successors(self.process(pid), move |child| parent(child)).skip(1).take(64)
    }
}

fn view(connector: &DaemonConnector, explanations: &mut Vec<Explanation>) -> View {
    let started = Instant::now();
    match connector.observe() {
        Ok(DaemonState::Answering(mut link)) => {
            let took = started.elapsed();
            let status = match link.ask(&ToDaemon::Status, Instant::now() + HELLO_TIMEOUT) {
                Ok(FromDaemon::Status { status }) => Ok(status),
                Ok(FromDaemon::Bye { .. }) => Err("it is stopping".to_owned()),
                Ok(_) => Err("it answered something else".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            // An older daemon has no such document.
            if status.is_ok()
                && let Ok(FromDaemon::Ps { ps }) = link.ask(&ToDaemon::Ps, Instant::now() + HELLO_TIMEOUT / 2)
            {
                *explanations = ps.explanations;
            }
            let daemon = link.daemon();
            let kernel_pid = daemon.process.as_ref().map(|process| process.pid);
            View::Answers { pid: daemon.pid, kernel_pid, build: daemon.build.clone(), took, status }
        }
        Ok(DaemonState::Refusing { error, .. }) => {
            View::Refuses { why: error.to_string(), skew: matches!(error, LinkError::Version { .. }) }
        }
        Ok(DaemonState::Starting) => View::Starting,
        Ok(DaemonState::Stopping(_)) => View::Stopping,
        Ok(DaemonState::Wedged { record, error, process }) => {
            let pid = process.map_or(record.identity.pid, |process| process.pid);
            View::Wedged { pid, why: error.to_string() }
        }
        Ok(DaemonState::Stale(_)) => View::Stale,
        Ok(DaemonState::Absent) => View::None,
        Err(error) => View::Unseen(error.to_string()),
    }
}

fn record(home: &Home) -> Record {
    match private::read(&home.daemon_record(), MAX_RECORD_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Record::Missing,
        Err(error) => Record::Broken(error.to_string()),
        Ok(bytes) => match serde_json::from_slice::<DaemonRecord>(&bytes) {
            Ok(record) if record.identity.pid != record.pid => Record::Broken(format!(
                "it names pid {} and identifies pid {}",
                record.pid, record.identity.pid
            )),
            Ok(record) => Record::Found(Box::new(record)),
            Err(error) => Record::Broken(format!("it is no record: {error}")),
        },
    }
}
