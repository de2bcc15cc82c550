//! Why a daemon cannot be joined or started.

use std::io;
use std::path::PathBuf;

use exai_os::platform_hints::AS_YOURSELF;

use crate::link::LinkError;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No daemon runs, and none was to be started.
    #[error("no exai daemon runs (state directory {})", home.display())]
    NotRunning {
        /// The state directory.
        home: PathBuf,
    },
    /// The daemon is there and refuses this process, or speaks no version of the link in common with it.
    #[error("the exai daemon does not serve this: {0}")]
    Refused(LinkError),
    /// A daemon lives and cannot be reached.
    #[error("{} holds {} and cannot be reached: {why}", who("a daemon", *holder), lock.display())]
    Unreachable {
        /// The lock it holds.
        lock: PathBuf,
        /// Its process id, where the system tells who holds a lock.
        holder: Option<u32>,
        /// What happened on trying.
        why: String,
    },
    /// Another process is starting a daemon and does not finish.
    #[error("{} holds {} and has started no daemon in time", who("another process", *holder), lock.display())]
    StarterHangs {
        /// The lock it holds.
        lock: PathBuf,
        /// Its process id, where the system tells who holds a lock.
        holder: Option<u32>,
    },
    /// The daemon was started and ended, or said that it cannot start.
    #[error("the exai daemon did not start: {reason}{}", tail(log_tail))]
    StartFailed {
        /// Why, by its own words where it had any.
        reason: String,
        /// The last lines of its log.
        log_tail: Vec<String>,
    },
    /// The daemon was started and ended without a word: it was killed, or it crashed.
    #[error(
        "the exai daemon did not start: the new process (pid {pid}) ended without a word{}",
        tail(log_tail)
    )]
    Died {
        /// What its process id was.
        pid: u32,
        /// The last lines of its log.
        log_tail: Vec<String>,
    },
    /// This process acts for another account than the one that logged in.
    #[error("not starting a daemon here: {0}; run `exai start` {as_yourself}", as_yourself = AS_YOURSELF)]
    ForAnotherAccount(String),
    /// The state directory cannot be used.
    #[error(transparent)]
    Home(#[from] exai_config::HomeError),
    /// The system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// What a failed start says about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailedStart {
    /// The failure has a reason that the next try will hardly change.
    Reason,
    /// The new process was killed, or it crashed.
    Death,
}

impl ConnectError {
    /// How a start failed; `None` if this is no failed start. Another process that is slow to start a daemon is no
    /// failed start.
    pub(crate) fn failed_start(&self) -> Option<FailedStart> {
        match self {
            ConnectError::StartFailed { .. }
            | ConnectError::ForAnotherAccount(_)
            | ConnectError::Home(_)
            | ConnectError::Io { .. } => Some(FailedStart::Reason),
            ConnectError::Died { .. } => Some(FailedStart::Death),
            ConnectError::NotRunning { .. }
            | ConnectError::Refused(_)
            | ConnectError::Unreachable { .. }
            | ConnectError::StarterHangs { .. } => None,
        }
    }
}

fn who(what: &str, pid: Option<u32>) -> String {
    pid.map_or_else(|| what.to_owned(), |pid| format!("{what} (pid {pid})"))
}

fn tail(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; the end of its log:\n  {}", lines.join("\n  ")) }
}
