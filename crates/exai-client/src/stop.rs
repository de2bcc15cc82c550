//! Ending the daemon, and knowing that it has ended: not that it said so, but that its process is gone.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exai_os::failpoint;
use exai_os::process::{self, Kill, Killed};
use exai_proto::documents::Status;
use exai_proto::link::{ByeReason, FromDaemon, ToDaemon};

use crate::door::{self, Door, DoorError, HELLO_TIME, Sight};
use crate::link::{Incoming, Link, LinkError};
use crate::pause::Pause;

/// How much longer than its time the daemon may take before it is ended by force.
const MORE: Duration = Duration::from_secs(3);
/// How long after that its process may take to be gone.
const GONE: Duration = Duration::from_millis(1500);

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
    Door(#[from] DoorError),
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
pub fn stop(door: &Door, grace: Duration, reason: ByeReason) -> Result<Option<Ended>, StopError> {
    let deadline = Instant::now() + grace + MORE;
    let mut pause = Pause::new();
    loop {
        match door.look()? {
            // What another account runs is not our daemon.
            Sight::Nothing | Sight::Stale(_) | Sight::Refusing(LinkError::ForeignPeer { .. }) => {
                return Ok(None);
            }
            Sight::Answering(link) => return ask(door, *link, grace, reason, deadline).map(Some),
            Sight::Stopping(record) => {
                let identity = door::verified(&record.identity);
                prove(door, &identity)?;
                return wait(&identity, None, deadline).map(Some);
            }
            Sight::Wedged(record, _) => {
                let identity = door::verified(&record.identity);
                prove(door, &identity)?;
                return end_wedged(door, &identity, deadline).map(Some);
            }
            // It does not understand what is said to it, and every build understands a signal.
            Sight::Refusing(error) => {
                let record = door.record().filter(|record| door::process_lives(&record.identity));
                let Some(record) = record else { return Err(StopError::Refused(error.to_string())) };
                let identity = door::verified(&record.identity);
                prove(door, &identity)?;
                kill(&identity, Kill::Terminate)?;
                return wait(&identity, None, deadline).map(Some);
            }
            Sight::Starting => {}
        }
        if !pause.sleep(deadline) {
            return end_nameless(door).map(Some);
        }
    }
}

/// Asks a daemon that does not answer to end. Where that brings no life into it, it gets no more time.
fn end_wedged(door: &Door, identity: &process::Identity, deadline: Instant) -> Result<Ended, StopError> {
    kill(identity, Kill::Terminate)?;
    let soon = deadline.min(Instant::now() + MORE);
    let gone = process::wait_gone(identity, soon);
    let gone = gone.map_err(|source| StopError::Io { pid: identity.pid, source })?;
    let still = !gone && matches!(door.look()?, Sight::Wedged(..));
    wait(identity, None, if still { soon } else { deadline })
}

/// A daemon that hangs before it has written its record is known to the kernel alone: it holds the lock.
fn end_nameless(door: &Door) -> Result<Ended, StopError> {
    let lock = door.home().instance_lock();
    let holder = door.holder();
    let identity = holder.and_then(|pid| process::identify(pid).ok().flatten());
    // Asked again once the identity is known: from here on it is this process that holds the lock.
    let identity = identity.filter(|identity| door.holder() == Some(identity.pid) && is_exai(identity.pid));
    match identity {
        Some(identity) => {
            kill(&identity, Kill::Force)?;
            let ended = wait(&identity, None, Instant::now() + GONE)?;
            Ok(Ended { forced: true, ..ended })
        }
        None => Err(StopError::Nameless { lock, holder }),
    }
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

/// What a record claims is not enough to end a process that does not speak: where the system tells who holds
/// the lock, it must be that one, and elsewhere at least a program of our name.
fn prove(door: &Door, identity: &process::Identity) -> Result<(), StopError> {
    let proven = match door.holder() {
        Some(holder) => holder == identity.pid,
        None => may_be_exai(identity.pid),
    };
    if proven { Ok(()) } else { Err(StopError::Unproven(identity.pid)) }
}

fn reach(place: &'static str, pid: u32) -> Result<(), StopError> {
    failpoint::reach(place).map_err(|source| StopError::Io { pid, source })
}

fn ask(
    door: &Door,
    mut link: Link,
    grace: Duration,
    reason: ByeReason,
    deadline: Instant,
) -> Result<Ended, StopError> {
    let daemon = link.daemon().clone();
    let status = match link.ask(&ToDaemon::Status, Instant::now() + HELLO_TIME) {
        Ok(FromDaemon::Status { status }) => Some(*status),
        Ok(_) | Err(_) => None,
    };
    let identity = door
        .record()
        .filter(|record| record.instance == daemon.instance)
        .map(|record| door::verified(&record.identity))
        .or_else(|| process::identify(daemon.pid).ok().flatten());
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
    match identity {
        Some(identity) => wait(&identity, status, deadline),
        // It was gone before it could be identified.
        None => Ok(Ended { pid: daemon.pid, status, forced: false }),
    }
}

fn wait(identity: &process::Identity, status: Option<Status>, deadline: Instant) -> Result<Ended, StopError> {
    let pid = identity.pid;
    let io = |source| StopError::Io { pid, source };
    if process::wait_gone(identity, deadline).map_err(io)? {
        return Ok(Ended { pid, status, forced: false });
    }
    kill(identity, Kill::Force)?;
    if process::wait_gone(identity, Instant::now() + GONE).map_err(io)? {
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
