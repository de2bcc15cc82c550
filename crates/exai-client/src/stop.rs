//! Ending the daemon, and knowing that it has ended: not that it said so, but that its process is gone.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exai_os::failpoint;
use exai_os::process::{self, Kill, Killed};
use exai_proto::documents::Status;
use exai_proto::link::{ByeReason, FromDaemon, ToDaemon};

use crate::connect_error::ConnectError;
use crate::daemon_connector::DaemonConnector;
use crate::daemon_state::DaemonState;
use crate::limits::{HELLO_TIMEOUT, KILL_TIMEOUT, STOP_MARGIN};
use crate::link::{Incoming, Link, LinkError};
use crate::retry_pause::RetryPause;

/// What was ended.
#[derive(Debug)]
pub struct Ended {
    /// The daemon's process id.
    pub pid: u32,
    /// Its last word about itself, if it had one.
    pub status: Option<Status>,
    /// It did not end by itself, and was killed.
    pub forced: bool,
}

/// Why the daemon may still run.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// It could not be looked at.
    #[error(transparent)]
    DaemonConnector(#[from] ConnectError),
    /// It will not.
    #[error("the exai daemon refuses: {0}")]
    Refused(String),
    /// It lives, and nobody knows which process it is.
    #[error("{} and has not said who it is", nameless(lock, *holder))]
    Nameless {
        /// The lock it holds.
        lock: PathBuf,
        /// The process that the system names as the holder, if any. It may be something else than a daemon.
        holder: Option<u32>,
    },
    /// It lives, and its process cannot be proven to be it.
    #[error("pid {0} cannot be proven to be the exai daemon; nothing was ended")]
    Unproven(u32),
    /// It was to be ended and is still there.
    #[error("the exai daemon (pid {0}) is still there")]
    StillThere(u32),
    /// The system refused something.
    #[error("cannot end the exai daemon (pid {pid}): {source}")]
    Io {
        /// The daemon.
        pid: u32,
        /// Why not.
        source: io::Error,
    },
}

fn nameless(lock: &Path, holder: Option<u32>) -> String {
    let pid = holder.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    format!("a process{pid} holds {}", lock.display())
}

/// Ends the daemon, which has `grace` to finish what is under way. `None` when none ran. The shims are told
/// `reason`: whether to wait to be needed, or to come back.
///
/// Who is waited for, and ended by force after that, is the kernel's word for the peer of the link, or for the holder of
/// the lock; never the word of a file. Where the world changes meanwhile (others stop and start daemons as well) this looks
/// again, until its time is over.
pub fn stop(
    connector: &DaemonConnector,
    grace: Duration,
    reason: ByeReason,
) -> Result<Option<Ended>, StopError> {
    let deadline = Instant::now() + grace + STOP_MARGIN;
    let mut pause = RetryPause::new();
    // One that was seen to end by itself.
    let mut ending: Option<u32> = None;
    loop {
        let trouble = match connector.observe()? {
            // What another account runs is not our daemon.
            DaemonState::Absent
            | DaemonState::Stale(_)
            | DaemonState::Refusing { error: LinkError::ForeignPeer { .. }, .. } => {
                return Ok(ending.map(|pid| Ended { pid, status: None, forced: false }));
            }
            DaemonState::Answering(link) => return ask(connector, *link, grace, reason, deadline).map(Some),
            DaemonState::Starting => None,
            DaemonState::Stopping(record) => {
                ending = Some(record.pid);
                None
            }
            DaemonState::Wedged { process, .. } => match proven(connector, process) {
                Ok(identity) => return end_wedged(connector, &identity, deadline).map(Some),
                Err(unproven) => unproven,
            },
            // It does not understand what is said to it, and every build understands a signal.
            DaemonState::Refusing { error, process } => match proven(connector, process) {
                Ok(identity) => {
                    kill(&identity, Kill::Terminate)?;
                    return wait(&identity, None, deadline).map(Some);
                }
                Err(unproven) => unproven.or(Some(StopError::Refused(error.to_string()))),
            },
        };
        if !pause.sleep(deadline) {
            return trouble.map_or_else(|| end_nameless(connector).map(Some), Err);
        }
    }
}

/// Asks a daemon that does not answer to end. Where that brings no life into it, it gets no more time.
fn end_wedged(
    connector: &DaemonConnector,
    identity: &process::Identity,
    deadline: Instant,
) -> Result<Ended, StopError> {
    kill(identity, Kill::Terminate)?;
    let soon = deadline.min(Instant::now() + STOP_MARGIN);
    let gone = process::wait_gone(identity, soon);
    let gone = gone.map_err(|source| StopError::Io { pid: identity.pid, source })?;
    let still = !gone && matches!(connector.observe()?, DaemonState::Wedged { .. });
    wait(identity, None, if still { soon } else { deadline })
}

/// A daemon that hangs before it listens is known to the kernel alone: it holds the lock.
fn end_nameless(connector: &DaemonConnector) -> Result<Ended, StopError> {
    match holder(connector) {
        Some(identity) => {
            kill(&identity, Kill::Force)?;
            let ended = wait(&identity, None, Instant::now() + KILL_TIMEOUT)?;
            Ok(Ended { forced: true, ..ended })
        }
        None => {
            Err(StopError::Nameless { lock: connector.home().instance_lock(), holder: connector.holder() })
        }
    }
}

/// The exai that holds the lock, by the kernel's word, where the system has one.
fn holder(connector: &DaemonConnector) -> Option<process::Identity> {
    let identity = process::identify(connector.holder()?).ok().flatten()?;
    // Asked again once the identity is known: from here on it is this process that holds the lock.
    (connector.holder() == Some(identity.pid) && is_exai(identity.pid)).then_some(identity)
}

/// Whether a process executes a program of our name: another that locks our file is not ours to end.
fn is_exai(pid: u32) -> bool {
    let name = |pid| Some(process::executable(pid).ok()?.file_name()?.to_owned());
    let theirs = name(pid);
    theirs.is_some() && theirs == name(std::process::id())
}

/// The same where a running program is renamed to make room for another, to something that begins like it.
fn may_be_exai(pid: u32) -> bool {
    let stem = |pid| Some(process::executable(pid).ok()?.file_stem()?.to_string_lossy().to_lowercase());
    stem(pid).zip(stem(std::process::id())).is_some_and(|(theirs, ours)| theirs.starts_with(&ours))
}

/// The daemon that listens and does not serve us, once more than the socket says that it is this directory's: a file has
/// led to that socket. Where the system tells who holds the lock it must be that one, and elsewhere at least a program of
/// our name. The error is what to say when this stays so; nothing where the lock's holder may still be ended.
fn proven(
    connector: &DaemonConnector,
    listens: Option<process::Identity>,
) -> Result<process::Identity, Option<StopError>> {
    match (listens, connector.holder()) {
        (Some(identity), Some(holder)) if identity.pid == holder => Ok(identity),
        (Some(identity), None) if may_be_exai(identity.pid) => Ok(identity),
        (Some(identity), Some(_) | None) => Err(Some(StopError::Unproven(identity.pid))),
        (None, _) => holder(connector).ok_or(None),
    }
}

fn reach(place: &'static str, pid: u32) -> Result<(), StopError> {
    failpoint::reach(place).map_err(|source| StopError::Io { pid, source })
}

fn ask(
    connector: &DaemonConnector,
    mut link: Link,
    grace: Duration,
    reason: ByeReason,
    deadline: Instant,
) -> Result<Ended, StopError> {
    let daemon = link.daemon().clone();
    let status = match link.ask(&ToDaemon::Status, Instant::now() + HELLO_TIMEOUT) {
        Ok(FromDaemon::Status { status }) => Some(*status),
        Ok(_) | Err(_) => None,
    };
    let timeout_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let mut said = link.send(&ToDaemon::Stop { timeout_ms, reason });
    reach("stopper.asked", daemon.pid)?;
    while said.is_ok() {
        said = match link.next_before(Some(deadline)) {
            Ok(Incoming::Control(FromDaemon::Error { reason })) => return Err(StopError::Refused(reason)),
            Ok(Incoming::Control(_) | Incoming::Message(_)) => Ok(()),
            Err(error) => Err(error), // closed: it is about to end; or late: it is ended
        };
    }
    reach("stopper.waiting", daemon.pid)?;
    match &daemon.process {
        Some(identity) => wait(identity, status, deadline),
        // In another process namespace nobody can be ended from here.
        None if connector.wait_until_gone(&daemon, deadline)? => {
            Ok(Ended { pid: daemon.pid, status, forced: false })
        }
        None => Err(StopError::StillThere(daemon.pid)),
    }
}

fn wait(identity: &process::Identity, status: Option<Status>, deadline: Instant) -> Result<Ended, StopError> {
    let pid = identity.pid;
    let io = |source| StopError::Io { pid, source };
    if process::wait_gone(identity, deadline).map_err(io)? {
        return Ok(Ended { pid, status, forced: false });
    }
    kill(identity, Kill::Force)?;
    if process::wait_gone(identity, Instant::now() + KILL_TIMEOUT).map_err(io)? {
        return Ok(Ended { pid, status, forced: true });
    }
    Err(StopError::StillThere(pid))
}

fn kill(identity: &process::Identity, how: Kill) -> Result<(), StopError> {
    let pid = identity.pid;
    match process::kill_verified(identity, how) {
        Ok(Killed::Signalled | Killed::AlreadyGone) => Ok(()),
        Ok(Killed::NotTheSame) => Err(StopError::Unproven(pid)),
        Err(source) => Err(StopError::Io { pid, source }),
    }
}
