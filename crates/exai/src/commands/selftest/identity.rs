//! Processes whose identity is known for certain: whether they live, and ending them.

use std::time::Instant;

use crate::limits::SELFTEST_GONE_TIMEOUT;
use exai_os::process::{self, Identity, Kill, Killed};

/// Whether exactly this process lives.
pub(super) fn lives(identity: &Identity) -> Result<bool, String> {
    let found = process::identify(identity.pid)
        .map_err(|error| format!("cannot identify pid {}: {error}", identity.pid))?;
    Ok(found.as_ref() == Some(identity))
}

/// Those that live.
pub(super) fn left<'i>(all: impl IntoIterator<Item = &'i Identity>) -> Result<Vec<Identity>, String> {
    let all = all.into_iter().map(|identity| Ok(lives(identity)?.then(|| identity.clone())));
    all.filter_map(Result::transpose).collect()
}

/// Ends exactly this process by force, and waits until it is gone.
pub(super) fn kill(identity: &Identity) -> Result<(), String> {
    send_kill(identity)?;
    gone(identity)
}

/// Ends exactly this process by force.
pub(super) fn send_kill(identity: &Identity) -> Result<(), String> {
    let pid = identity.pid;
    match process::kill_verified(identity, Kill::Force) {
        Ok(Killed::Signalled) => Ok(()),
        Ok(Killed::AlreadyGone | Killed::NotTheSame) => Err(format!("pid {pid} had ended by itself")),
        Err(error) => Err(format!("cannot end pid {pid}: {error}")),
    }
}

/// Waits until a process is gone.
pub(super) fn gone(identity: &Identity) -> Result<(), String> {
    match process::wait_gone(identity, Instant::now() + SELFTEST_GONE_TIMEOUT) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("pid {} was killed and is still there", identity.pid)),
        Err(error) => Err(format!("cannot wait for pid {}: {error}", identity.pid)),
    }
}

/// `pid 5`, `pids 5, 6`
pub(super) fn pids(all: &[Identity]) -> String {
    let numbers: Vec<String> = all.iter().map(|identity| identity.pid.to_string()).collect();
    format!("{} {}", if all.len() == 1 { "pid" } else { "pids" }, numbers.join(", "))
}
