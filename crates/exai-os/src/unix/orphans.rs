//! Ending what a guard that was killed has left: on Linux its orphans are our children.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use super::process;
use crate::process::{Identity, ProcessInfo, descendants};
use crate::tree::{Known, Reach};

const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(5);

/// A process by its number and its start.
type Key = (u32, u64);

/// A tree without its guard.
struct Orphans<'a> {
    root: &'a Identity,
    reach: Reach,
    /// The root lived when we came: its group's number is its own.
    group_is_known: bool,
    members: Vec<Key>,
    others: Vec<Key>,
    mark: &'a str,
}

/// Ends them, and returns those that are left.
pub(super) fn end(root: &Identity, reach: Reach, known: &Known, mark: &str) -> Vec<u32> {
    let deadline = Instant::now() + PATIENCE;
    let key = |one: &Identity| (one.pid, one.start);
    let mut orphans = Orphans {
        root,
        reach,
        group_is_known: process::identify(root.pid).ok().flatten().as_ref() == Some(root),
        members: known.members.iter().chain([root]).map(key).collect(),
        others: known.others.iter().map(key).collect(),
        mark,
    };
    loop {
        let found = orphans.find(&process::snapshot().unwrap_or_default());
        reap(&found);
        let living: Vec<&ProcessInfo> = found.iter().filter(|one| !one.zombie).collect();
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

impl Orphans<'_> {
    /// Whom the guard would have ended: by identity where it was seen in the tree, by its group while that
    /// group's number is known to be the root's, and who became our child by the guard's end; and what
    /// descends from them.
    fn find(&mut self, all: &[ProcessInfo]) -> Vec<ProcessInfo> {
        let mut found: Vec<ProcessInfo> = all.iter().filter(|one| self.is_ours(one)).cloned().collect();
        let below: Vec<ProcessInfo> = found.iter().flat_map(|one| descendants(all, one.pid)).collect();
        found.extend(below);
        if self.reach == Reach::Group {
            found.retain(|one| self.is_in_group(one));
        }
        found.retain(|one| one.pid > 1 && one.pid != std::process::id());
        found.sort_by_key(|one| one.pid);
        found.dedup_by_key(|one| one.pid);
        // Who descends from one of them may be nobody's child a moment later.
        self.members.extend(found.iter().map(|one| (one.pid, one.start)));
        self.members.sort_unstable();
        self.members.dedup();
        found
    }

    fn is_ours(&self, one: &ProcessInfo) -> bool {
        let key = (one.pid, one.start);
        // A guard's orphans are new children of ours, younger than its root. So may be what another tree lets
        // go, or a login shell's start files have started: these say so.
        let adopted =
            one.ppid == std::process::id() && one.start >= self.root.start && !self.others.contains(&key);
        self.members.contains(&key)
            || (self.is_in_group(one) && (adopted || self.group_is_known))
            || (adopted && !one.zombie && is_not_anothers(one.pid, self.mark))
    }

    fn is_in_group(&self, one: &ProcessInfo) -> bool {
        one.pgid == self.root.pid && one.start >= self.root.start
    }
}

/// Reaps those of them that have ended as our children.
fn reap(found: &[ProcessInfo]) {
    let me = std::process::id();
    for one in found.iter().filter(|one| one.zombie && one.ppid == me) {
        if let Some(pid) = Pid::from_raw(one.pid.cast_signed()) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Whether nothing in its environment says that a process is another tree's, a login shell's, or a guard.
#[cfg(target_os = "linux")]
fn is_not_anothers(pid: u32, mark: &str) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let name = mark.split_inclusive('=').next().unwrap_or_default();
    let of_another = |variable: &[u8]| {
        let marked = !name.is_empty() && variable.starts_with(name.as_bytes()) && variable != mark.as_bytes();
        marked || variable.starts_with(super::environment::CAPTURE.as_bytes())
    };
    !environment.split(|byte| *byte == 0).any(of_another)
}

/// Nobody is adopted here.
#[cfg(not(target_os = "linux"))]
fn is_not_anothers(_pid: u32, _mark: &str) -> bool {
    false
}
