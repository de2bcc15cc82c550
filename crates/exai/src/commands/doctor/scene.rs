//! What several checks need, looked at once.

use std::io;
use std::time::{Duration, Instant};

use crate::limits::MAX_RECORD_BYTES;
use exai_client::DaemonState;
use exai_client::limits::HELLO_TIMEOUT;
use exai_client::{DaemonConnector, LinkError};
use exai_config::{Config, ConfigError, Home};
use exai_os::process::{self, ProcessInfo};
use exai_os::{evidence, private};
use exai_proto::documents::{DaemonRecord, Explanation, Status};
use exai_proto::link::{FromDaemon, Role, ToDaemon};

/// See the module.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) home: Home,
    pub(super) view: View,
    pub(super) record: Record,
    /// What the daemon says of its trees, in words.
    pub(super) explanations: Vec<Explanation>,
    /// Who holds `instance.lock`, as far as the system says.
    pub(super) holder: Option<u32>,
    pub(super) processes: Vec<ProcessInfo>,
    pub(super) config: Result<Config, ConfigError>,
}

/// What there is of a daemon.
#[derive(Debug)]
pub(super) enum View {
    /// It answered hello, and said this of itself or did not.
    Answers {
        pid: u32,
        /// The kernel's word for the peer of the link; `None` for one that has no number here.
        kernel_pid: Option<u32>,
        build: String,
        took: Duration,
        status: Result<Box<Status>, String>,
    },
    /// It answers and does not serve this program.
    Refuses { why: String, skew: bool },
    /// It holds the lock, and has no record that leads to it.
    Starting,
    /// It holds the lock and listens no more.
    Stopping,
    /// It holds the lock and is silent.
    Wedged { pid: u32, why: String },
    /// A record claims one, and nobody holds the lock.
    Stale,
    /// There is none.
    None,
    /// It cannot be looked at.
    Unseen(String),
}

/// `daemon.json`.
#[derive(Debug)]
pub(super) enum Record {
    Missing,
    /// It is there and cannot be used.
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
            // Without /proc nobody says.
            holder: exai_os::lock::holder(&home.instance_lock()).ok().flatten(),
            processes: process::snapshot().unwrap_or_default(),
            config: exai_config::load(&home),
            home,
        }
    }

    /// The daemon's process, by the best word there is: its own, the lock's, or a record that was proven.
    pub(super) fn daemon_pid(&self) -> Option<u32> {
        match &self.view {
            View::Answers { pid, .. } | View::Wedged { pid, .. } => Some(*pid),
            View::Refuses { .. } | View::Starting | View::Stopping | View::Unseen(_) => self.holder,
            View::Stale | View::None => None,
        }
    }

    /// That the daemon answers and its process cannot be looked at: by the kernel's word it has another number here than
    /// by its own, or none. Then one of both is in a container.
    pub(super) fn is_elsewhere(&self) -> bool {
        let own = self.status().and_then(|status| status.daemon.as_ref()).map(|daemon| daemon.pid);
        match &self.view {
            View::Answers { kernel_pid, .. } => *kernel_pid != own.or(*kernel_pid) || kernel_pid.is_none(),
            _ => false,
        }
    }

    /// What the daemon says of itself.
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
        evidence::age(self.process(pid)?.start).ok()?
    }

    /// The processes above this one, nearest first.
    pub(super) fn above(&self, pid: u32) -> impl Iterator<Item = &ProcessInfo> {
        let parent = |child: &ProcessInfo| {
            self.process(child.ppid).filter(|parent| parent.start <= child.start && parent.pid != child.pid)
        };
        // A cycle cannot be, and must not hang us if it is.
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
