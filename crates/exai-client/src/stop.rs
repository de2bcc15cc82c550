//! Ending the daemon, and proving that it has ended: its process is gone, whatever it said.

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
    /// The last status that it reported, if it reported one.
    pub status: Option<Status>,
    /// Whether it had to be killed.
    pub forced: bool,
}

/// Why the daemon may still run.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The state of the daemon could not be found out.
    #[error(transparent)]
    DaemonConnector(#[from] ConnectError),
    /// The daemon refuses.
    #[error("the exai daemon refuses: {0}")]
    Refused(String),
    /// The daemon lives, and it is not known which process it is.
    #[error("{} and has not said who it is", nameless(lock, *holder))]
    Nameless {
        /// The lock it holds.
        lock: PathBuf,
        /// The process that the system names as the holder, if any. It may be something else than a daemon.
        holder: Option<u32>,
    },
    /// The daemon lives, and no process can be proven to be the daemon.
    #[error("pid {0} cannot be proven to be the exai daemon; nothing was ended")]
    Unproven(u32),
    /// The daemon was told to end and is still there.
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

/// Ends the daemon, which has `grace` to finish what is under way. Returns `None` when no daemon ran. The shims are
/// told `reason`: whether to wait for the next call, or to come back at once.
///
/// The process that is waited for, and then ended by force, is the one that the kernel names as the peer of the link
/// or as the holder of the lock, never the one that a file names. Other processes may stop and start daemons
/// meanwhile, so this looks again until its time is over.
pub fn stop(
    connector: &DaemonConnector,
    grace: Duration,
    reason: ByeReason,
) -> Result<Option<Ended>, StopError> {
    let deadline = Instant::now() + grace + STOP_MARGIN;
    let mut pause = RetryPause::new();
    // The pid of a daemon that was seen ending by itself.
    let mut ending: Option<u32> = None;
    loop {
        let trouble = match connector.observe()? {
            // A daemon of another account is not ours.
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
            // The daemon does not understand this build's messages, but every build understands a signal.
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

/// Asks a daemon that does not answer to end, by a signal. If it then still hangs, it gets no more time.
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

/// Ends a daemon that hangs before it listens. Only the kernel knows it, as the holder of the lock.
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

/// The exai process that holds the lock, where the kernel tells.
fn holder(connector: &DaemonConnector) -> Option<process::Identity> {
    let identity = process::identify(connector.holder()?).ok().flatten()?;
    // Checked again now that the identity is known: the holder is this very process.
    (connector.holder() == Some(identity.pid) && is_exai(identity.pid)).then_some(identity)
}

/// Whether a process executes a program of the same name as this one. Any other process that locks the file must not
/// be ended.
fn is_exai(pid: u32) -> bool {
    let name = |pid| Some(process::executable(pid).ok()?.file_name()?.to_owned());
    let theirs = name(pid);
    theirs.is_some() && theirs == name(std::process::id())
}

/// Like [`is_exai`], for systems where an update renames the running program to a name that begins alike.
fn may_be_exai(pid: u32) -> bool {
    let stem = |pid| Some(process::executable(pid).ok()?.file_stem()?.to_string_lossy().to_lowercase());
    stem(pid).zip(stem(std::process::id())).is_some_and(|(theirs, ours)| theirs.starts_with(&ours))
}

/// The daemon that listens and does not serve us, if more than its socket proves that it is the daemon of this
/// directory (a file has led to that socket). Where the system tells which process holds the lock, it must be that
/// process; elsewhere it must at least be a program of our name. The error is what to report if this stays so; `None`
/// where the holder of the lock may still be ended.
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
        // A daemon in another pid namespace cannot be killed from here.
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
