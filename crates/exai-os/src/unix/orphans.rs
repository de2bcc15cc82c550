//! Ending what a guard that was killed has left: on Linux its orphans are our children.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use super::process;
use crate::brand::Brand;
use crate::process::{Identity, ProcessInfo, descendants};
use crate::tree::Reach;

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
    brand: Brand,
}

/// Ends them, and returns those that are left.
pub(super) fn end(root: &Identity, reach: Reach, members: &[Identity], brand: Brand) -> Vec<u32> {
    let deadline = Instant::now() + PATIENCE;
    let key = |one: &Identity| (one.pid, one.start);
    let mut orphans = Orphans {
        root,
        reach,
        group_is_known: process::identify(root.pid).ok().flatten().as_ref() == Some(root),
        members: members.iter().chain([root]).map(key).collect(),
        brand,
    };
    loop {
        let Ok(table) = process::snapshot() else {
            if Instant::now() >= deadline {
                return vec![root.pid];
            }
            std::thread::sleep(STEP);
            continue;
        };
        let found = orphans.find(&table);
        reap(&found);
        let living: Vec<&ProcessInfo> = found.iter().filter(|one| !one.zombie).collect();
        if living.is_empty() || Instant::now() >= deadline {
            return living.iter().map(|one| one.pid).collect();
        }
        for one in living {
            let _ = process::signal_verified(&one.identity(&root.boot), Signal::KILL);
        }
        std::thread::sleep(STEP);
    }
}

impl Orphans<'_> {
    /// Whom the guard would have ended: by its brand, by identity where it was seen in the tree, by its group while
    /// that group's number is known to be the root's; and what descends from them.
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

    /// Children of ours that say nothing are left alone: they may be another tree's, which let them go, or a login
    /// shell's, or about to become another program.
    fn is_ours(&self, one: &ProcessInfo) -> bool {
        let adopted = one.ppid == std::process::id() && one.start >= self.root.start;
        self.members.contains(&(one.pid, one.start))
            || (self.is_in_group(one) && (adopted || self.group_is_known))
            || (one.start >= self.root.start && Brand::of(one.pid).ok() == Some(Some(self.brand)))
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
