//! Starting a daemon: a process of its own, and its word that it is ready.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use exai_config::Home;
use exai_os::{detach, failpoint, process, tree};
use exai_proto::ready::Readiness;

use crate::connect_error::ConnectError;
use crate::daemon_record::{lock_holder, read_record};
use crate::limits::{LOG_TAIL_LINES, STEP_MARGIN};
use crate::{log_tail, start_environment};

/// Starts a daemon and waits for its first words.
pub(crate) fn start_daemon(home: &Home, deadline: Instant) -> Result<Readiness, ConnectError> {
    let exe = executable()?;
    let log = home.daemon_log();
    let env = start_environment::for_daemon();
    // A daemon has no parent that would show its starter, so this argument does.
    let args = ["serve", detach::STARTER_ARGUMENT, &std::process::id().to_string()].map(OsString::from);
    reach("starter.spawning")?;
    let mut started = detach::spawn(&exe, &args, &env, home.path(), &log, deadline)
        .map_err(|source| ConnectError::Io { action: "start", path: exe, source })?;
    reach("starter.spawned")?;
    let said = started.ready.read_to_end_until(deadline.checked_sub(STEP_MARGIN).unwrap_or(deadline));
    match said {
        Ok(said) => Readiness::from_line(&said)
            .ok_or_else(|| ConnectError::Died { pid: started.pid, log_tail: log_tail(home) }),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let how_far = how_far(home, started.pid);
            let sentence = format!("the new process (pid {}) was not ready in time: {how_far}", started.pid);
            Err(start_failed(home, sentence))
        }
        Err(source) => {
            Err(ConnectError::Io { action: "read the readiness of", path: home.path().into(), source })
        }
    }
}

/// How far a new daemon that says nothing has come.
fn how_far(home: &Home, pid: u32) -> &'static str {
    match (lock_holder(&home.instance_lock()), read_record(home)) {
        (_, Some(record)) if record.pid == pid => {
            "its record is written, and it does not say that it is ready"
        }
        (Some(holder), _) if holder == pid => "it holds the instance lock and has written no record",
        (Some(_), _) => "another process holds the instance lock",
        (None, _) => "it has not written its record",
    }
}

/// The error of a daemon that was started and is not ready.
pub(crate) fn start_failed(home: &Home, reason: String) -> ConnectError {
    ConnectError::StartFailed { reason, log_tail: log_tail(home) }
}

/// Passes a place where a test may make the start fail.
pub(crate) fn reach(place: &'static str) -> Result<(), ConnectError> {
    failpoint::reach(place).map_err(|source| ConnectError::Io {
        action: "get past",
        path: place.into(),
        source,
    })
}

/// The last lines of the daemon's log.
fn log_tail(home: &Home) -> Vec<String> {
    let (text, _) = log_tail::last_lines(&home.daemon_log(), LOG_TAIL_LINES).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// The file of this program, with all links resolved: the daemon must not change when a link does.
fn executable() -> Result<PathBuf, ConnectError> {
    let io = |source| ConnectError::Io { action: "find", path: PathBuf::from("this executable"), source };
    let exe = std::env::current_exe().map_err(io)?;
    if let Ok(real) = dunce::canonicalize(&exe) {
        return Ok(real);
    }
    // The file was removed while this program runs. A new file of the same name is what the next shim would start. If
    // there is none, the running process still gives access to the removed file.
    let named = process::executable(std::process::id()).and_then(dunce::canonicalize);
    named.or_else(|_| tree::own_program()).map_err(io)
}
