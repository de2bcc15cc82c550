//! Ending what a guard that was killed has left: on Linux its orphans are our children.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use super::process;
use crate::process::{Identity, ProcessInfo, descendants};
use crate::tree::Reach;

const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(5);

/// Ends them, and returns those that are left.
pub(super) fn end(root: &Identity, reach: Reach, seen: &[Identity], mark: &str) -> Vec<u32> {
    let deadline = Instant::now() + PATIENCE;
    let group_is_known = is_alive(root);
    let mut known: Vec<(u32, u64)> = seen
        .iter()
        .chain([root])
        .filter(|one| one.boot == root.boot)
        .map(|one| (one.pid, one.start))
        .collect();
    loop {
        let all = process::snapshot().unwrap_or_default();
        let doomed = doomed(&all, root, reach, group_is_known, &known, mark);
        // Who descends from one of them may be nobody's child a moment later.
        known.extend(doomed.iter().map(|one| (one.pid, one.start)));
        known.sort_unstable();
        known.dedup();
        reap(&doomed);
        let living: Vec<&ProcessInfo> = doomed.iter().filter(|one| !one.zombie).collect();
        if living.is_empty() || Instant::now() >= deadline {
            return living.iter().map(|one| one.pid).collect();
        }
        for one in living {
            let identity = Identity { boot: root.boot.clone(), pid: one.pid, start: one.start };
            let _ = process::signal_verified(&identity, Signal::KILL);
        }
        std::thread::sleep(STEP);
    }
}

fn is_alive(identity: &Identity) -> bool {
    process::identify(identity.pid).ok().flatten().as_ref() == Some(identity)
}

/// Whom the guard would have ended: by identity where it was seen in the tree, by its group while that
/// group's number is known to be the root's, by its mark where the kernel made it our child; and what descends
/// from them.
fn doomed(
    all: &[ProcessInfo],
    root: &Identity,
    reach: Reach,
    group_is_known: bool,
    known: &[(u32, u64)],
    mark: &str,
) -> Vec<ProcessInfo> {
    let me = std::process::id();
    let in_group = |one: &ProcessInfo| one.pgid == root.pid && one.start >= root.start;
    let is_ours = |one: &&ProcessInfo| {
        let adopted = one.ppid == me;
        known.contains(&(one.pid, one.start))
            || (in_group(one) && (adopted || group_is_known))
            || (adopted && !one.zombie && carries(one.pid, mark))
    };
    let mut found: Vec<ProcessInfo> = all.iter().filter(is_ours).cloned().collect();
    let below: Vec<ProcessInfo> = found.iter().flat_map(|one| descendants(all, one.pid)).collect();
    found.extend(below);
    if reach == Reach::Group {
        found.retain(in_group);
    }
    found.retain(|one| one.pid > 1 && one.pid != me);
    found.sort_by_key(|one| one.pid);
    found.dedup_by_key(|one| one.pid);
    found
}

/// Reaps those of them that have ended as our children.
fn reap(doomed: &[ProcessInfo]) {
    let me = std::process::id();
    for one in doomed.iter().filter(|one| one.zombie && one.ppid == me) {
        if let Some(pid) = Pid::from_raw(one.pid.cast_signed()) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Whether the process was started with this variable, `NAME=VALUE`.
#[cfg(target_os = "linux")]
fn carries(pid: u32, mark: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

#[cfg(not(target_os = "linux"))]
fn carries(_pid: u32, _mark: &str) -> bool {
    false
}
