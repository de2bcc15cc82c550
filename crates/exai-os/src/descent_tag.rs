//! The descent tag of a process tree: a number that every process of the tree has
//! inherited, and that cannot be handed to any other process.
//!
//! A program may leave its parent, its group and its session, empty its environment and close its descriptors. It
//! keeps its resource limits: the kernel copies them from parent to child, and no message or descriptor carries them
//! elsewhere. On Linux one of them has had no effect for twenty years (`RLIMIT_LOCKS`, getrlimit(2)); a tree's root
//! gets the tree's descent tag as its soft limit. So a process with that number descends from that root. Only a
//! program that sets this limit itself loses the tag.
//!
//! Linux only. Elsewhere no process has a descent tag.

use std::io;

use crate::hash;
use crate::kill_scope::KillScope;
use crate::sys;

/// The two highest bits: neither "no limit" nor a limit that another program would set.
const FORM: u64 = 0b01 << 62;
/// A tree whose members may leave it.
const LEAVABLE: u64 = 1 << 61;
const DAEMON: u64 = ((1 << 29) - 1) << 32;

/// A number that all processes of one tree have inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DescentTag(u64);

impl DescentTag {
    /// The descent tag of the tree `id` of the daemon `instance` (its nonce).
    pub fn new(instance: &str, id: &str, kill_scope: KillScope) -> Self {
        let daemon = (hash::of_bytes(instance.as_bytes()) << 32) & DAEMON;
        let tree = u64::from(hash::of_bytes(id.as_bytes()) as u32);
        let leavable = match kill_scope {
            KillScope::Descendants => 0,
            KillScope::Group => LEAVABLE,
        };
        DescentTag(FORM | leavable | daemon | tree)
    }

    /// The descent tag of a process. As with every look by pid, check the identity of the process afterwards.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        let limit = sys::descent_tag::read(pid)?;
        Ok(limit.filter(|limit| limit >> 62 == FORM >> 62).map(DescentTag))
    }

    /// Whether the tag belongs to a tree of this daemon that keeps all its members.
    pub fn is_kept_by(self, instance: &str) -> bool {
        self.0 & !u64::from(u32::MAX)
            == DescentTag::new(instance, "", KillScope::Descendants).0 & !u64::from(u32::MAX)
    }

    /// The resource limit that carries the tag.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The tag that this resource limit carries.
    pub fn from_number(number: u64) -> Self {
        DescentTag(number)
    }
}

/// Removes the descent tag of this process: a daemon may have been started within a tree, and neither the daemon nor
/// its children belong to that tree.
pub fn shed() {
    sys::descent_tag::shed();
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn each_tree_has_its_own_and_a_daemon_knows_those_that_it_keeps() {
        let descent_tag = |instance, id, kill_scope| DescentTag::new(instance, id, kill_scope);
        let kept = descent_tag("abc", "x#1", KillScope::Descendants);
        let others = [
            descent_tag("abc", "x#2", KillScope::Descendants),
            descent_tag("abd", "x#1", KillScope::Descendants),
            descent_tag("abc", "x#1", KillScope::Group),
        ];
        assert!(others.iter().all(|other| *other != kept));
        assert!(kept.is_kept_by("abc") && others[0].is_kept_by("abc"));
        assert!(!others[1].is_kept_by("abc") && !others[2].is_kept_by("abc"));
    }

    #[test]
    fn who_leaves_everything_keeps_it_and_a_stranger_has_none() {
        let descent_tag = DescentTag::new("abc", "x#1", KillScope::Descendants);
        let script = format!(
            "ulimit -S -x {}; setsid -f env -i sleep 60 <&- >&- 2>&-; sleep 60",
            descent_tag.number()
        );
        let mut shell = Command::new("bash").args(["-c", &script]).spawn().unwrap();
        let with_descent_tag = || -> Vec<u32> {
            let all = crate::process::snapshot().unwrap();
            let sleeps = all.iter().filter(|one| one.name == "sleep" && one.start >= start(shell.id()));
            sleeps
                .map(|one| one.pid)
                .filter(|pid| DescentTag::of(*pid).ok() == Some(Some(descent_tag)))
                .collect()
        };
        eventually(|| with_descent_tag().len() == 2);
        for pid in with_descent_tag() {
            let one = crate::process::identify(pid).unwrap().unwrap();
            crate::process::kill_verified(&one, crate::process::Kill::Force).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(DescentTag::of(std::process::id()).unwrap(), None);
    }

    fn start(pid: u32) -> u64 {
        crate::process::identify(pid).unwrap().map_or(0, |one| one.start)
    }

    fn eventually(condition: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "two processes with the descent tag");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
