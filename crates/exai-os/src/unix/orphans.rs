//! Ending the processes that a killed guard has left: on Linux its orphans are our children.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use super::process;
use crate::descent_tag::DescentTag;
use crate::process::{Identity, ProcessInfo, descendants};
use crate::tree::KillScope;

const END_TIMEOUT: Duration = Duration::from_secs(5);
const END_INTERVAL: Duration = Duration::from_millis(5);

/// A process, by its number and its start time.
type Key = (u32, u64);

/// A tree without its guard.
struct Orphans<'a> {
    root: &'a Identity,
    kill_scope: KillScope,
    members: Vec<Key>,
    descent_tag: DescentTag,
}

/// Ends the orphans, and returns those that are left.
pub(super) fn end(
    root: &Identity,
    kill_scope: KillScope,
    members: &[Identity],
    descent_tag: DescentTag,
) -> Vec<u32> {
    let deadline = Instant::now() + END_TIMEOUT;
    let mut orphans = Orphans::new(root, kill_scope, members, descent_tag);
    loop {
        let Ok(table) = process::snapshot() else {
            if Instant::now() >= deadline {
                return vec![root.pid];
            }
            std::thread::sleep(END_INTERVAL);
            continue;
        };
        let found = orphans.find(&table);
        // The root is reaped last, so that its group stays its own.
        let is_root = |one: &&ProcessInfo| one.pid == root.pid;
        found.iter().filter(|one| !is_root(one)).for_each(reap);
        let living: Vec<&ProcessInfo> = found.iter().filter(|one| !one.zombie).collect();
        if living.is_empty() || Instant::now() >= deadline {
            found.iter().filter(is_root).for_each(reap);
            return living.iter().map(|one| one.pid).collect();
        }
        for one in living {
            let _ = process::signal_verified(&one.identity(&root.boot), Signal::KILL);
        }
        std::thread::sleep(END_INTERVAL);
    }
}

impl<'a> Orphans<'a> {
    fn new(root: &'a Identity, kill_scope: KillScope, members: &[Identity], descent_tag: DescentTag) -> Self {
        let members = members.iter().chain([root]).map(|one| (one.pid, one.start)).collect();
        Orphans { root, kill_scope, members, descent_tag }
    }

    /// The processes that the guard would have ended: by their descent tag, by identity if they were seen in the
    /// tree, by their group while the number of that group is known to be the root's; and their descendants.
    fn find(&mut self, all: &[ProcessInfo]) -> Vec<ProcessInfo> {
        let group_is_known = self.group_is_known(all);
        let ours = |one: &&ProcessInfo| self.is_ours(one, group_is_known);
        let mut found: Vec<ProcessInfo> = all.iter().filter(ours).cloned().collect();
        let below: Vec<ProcessInfo> = found.iter().flat_map(|one| descendants(all, one.pid)).collect();
        found.extend(below);
        if self.kill_scope == KillScope::Group {
            found.retain(|one| self.is_in_group(one));
        }
        found.retain(|one| one.pid > 1 && one.pid != std::process::id());
        found.sort_by_key(|one| one.pid);
        found.dedup_by_key(|one| one.pid);
        // A descendant of one of them may be an orphan a moment later.
        self.members.extend(found.iter().map(|one| (one.pid, one.start)));
        self.members.sort_unstable();
        self.members.dedup();
        found
    }

    /// Children of ours without any of these signs are left alone: they may come from another tree, which let them
    /// go, or from a login shell, or may be about to become another program.
    fn is_ours(&self, one: &ProcessInfo, group_is_known: bool) -> bool {
        self.members.contains(&(one.pid, one.start))
            || (group_is_known && self.is_in_group(one))
            || (one.start >= self.root.start && DescentTag::of(one.pid).ok() == Some(Some(self.descent_tag)))
    }

    /// Whether the number of the root's group was still its own when this table was taken. The kernel does not reuse
    /// the number while the root is not reaped or a process is in the group. So a known process must be in the group,
    /// and still be there now that the table is taken. A group without any known process may belong to a stranger by
    /// now.
    fn group_is_known(&self, all: &[ProcessInfo]) -> bool {
        let Ok(look) = process::looker() else { return false };
        let is_known = |one: &&ProcessInfo| self.members.contains(&(one.pid, one.start));
        let holds = |one: &ProcessInfo| {
            look(one.pid).is_some_and(|now| now.start == one.start && now.pgid == self.root.pid)
        };
        all.iter().filter(is_known).filter(|one| one.pgid == self.root.pid).any(holds)
    }

    fn is_in_group(&self, one: &ProcessInfo) -> bool {
        one.pgid == self.root.pid && one.start >= self.root.start
    }
}

/// Reaps a child of ours that has ended.
fn reap(one: &ProcessInfo) {
    if !one.zombie || one.ppid != std::process::id() {
        return;
    }
    if let Some(pid) = Pid::from_raw(one.pid.cast_signed()) {
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Child;

    use super::*;

    /// A process that leads a process group, as a root does.
    fn leader() -> (Child, Identity) {
        use std::os::unix::process::CommandExt as _;
        let child = exai_test::sleeper().process_group(0).spawn().unwrap();
        let identity = process::identify(child.id()).unwrap().unwrap();
        (child, identity)
    }

    /// A process in a group with the number of the root's group.
    fn stranger(root: &Identity, ppid: u32) -> ProcessInfo {
        ProcessInfo {
            pid: 4_000_000_000 + ppid,
            ppid,
            pgid: root.pid,
            name: "stranger".to_owned(),
            start: root.start + 500,
            rss_bytes: 0,
            zombie: false,
        }
    }

    #[test]
    fn a_group_whose_root_was_reaped_is_anybodys() {
        let (mut child, root) = leader();
        let descent_tag = DescentTag::new("0123456789abcdef", "x#1", KillScope::Descendants);
        // One stranger is a child of this process, the other a child of the first process of the system.
        let strangers = [1, std::process::id()].map(|ppid| stranger(&root, ppid));
        // Each of these has seen the living root, is used only once, and knows no process from an earlier look.
        let mut fresh =
            [(); 4].map(|()| Orphans::new(&root, KillScope::Descendants, &[], descent_tag)).into_iter();
        let mut meant = |before: &[ProcessInfo]| {
            let table: Vec<ProcessInfo> = before.iter().chain(&strangers).cloned().collect();
            let found = fresh.next().unwrap().find(&table);
            found.iter().filter(|one| strangers.contains(one)).count()
        };
        assert_eq!(meant(&process::snapshot().unwrap()), 2, "as long as the root lives its group is its own");
        child.kill().unwrap();
        let before = process::snapshot().unwrap();
        assert_eq!(meant(&before), 2, "and until it is reaped");
        child.wait().unwrap();
        assert_eq!(meant(&before), 0, "since this table was taken the number has become free");
        assert_eq!(meant(&process::snapshot().unwrap()), 0, "another has the number now");
    }
}
