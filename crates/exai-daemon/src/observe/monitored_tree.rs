//! One tree as the process monitor sees it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use exai_os::clock;
use exai_os::process::{self, Identity, ProcessInfo};
use exai_os::tree::Roster;
use exai_proto::documents::Unexpected;
use exai_supervisor::job::SeenMembers;
use exai_supervisor::record::{Containment, Recorded, TreeRecord, TreeRole};
use exai_supervisor::tree::{self, Count, Exchange, Facts, Judgement, Listening, Pipes};

/// How long another process of a tree has to answer a ping when the one that answered before has ended.
const SUCCESSION: Duration = Duration::from_secs(2);
/// After this time the kernel has counted what was written.
const COUNTED: Duration = Duration::from_millis(500);
/// After this time the kernel has mostly counted what was written.
const MOMENT: Duration = Duration::from_millis(10);
/// How often an exchange is measured that does not tell which process is the server.
const TRIES: u32 = 5;

/// A tree, its record, and what is known about which process is the server.
#[derive(Debug, Clone)]
pub(crate) struct MonitoredTree {
    pub(crate) record: TreeRecord,
    pub(crate) max_processes: u32,
    pub(crate) pipes: Option<Pipes>,
    /// The address at which the server of this tree is to listen.
    pub(crate) addr: Option<SocketAddr>,
    pub(crate) seen: SeenMembers,
    pub(crate) roster: Roster,
    /// When `initialize` was answered, by [`exai_os::process_facts::clock`].
    pub(crate) initialized: Option<u64>,
    pub(crate) initialized_at: Option<Instant>,
    pub(crate) measuring: Measuring,
    pub(crate) taken: Option<Taken>,
    /// Since when that process is gone and no process has answered a ping.
    pub(crate) lost: Option<Instant>,
    /// The log says already that the tree is too large. It is said again only after the tree was smaller.
    pub(crate) said_too_many: bool,
}

/// The process that is taken for the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pid: u32,
    start: u64,
    /// The process was seen to answer. Otherwise it is presumed to be the server.
    confirmed: bool,
}

/// The search for the server by the I/O counters of an exchange.
#[derive(Debug, Clone, Default)]
pub(crate) enum Measuring {
    /// Nothing was measured yet.
    #[default]
    Not,
    /// A ping was sent. These are the counters before it.
    Asked { before: Vec<Count>, tries: u32 },
    /// The result of an exchange, and how many exchanges it took. After [`TRIES`] the search ends.
    Done { exchange: Exchange, tries: u32 },
}

impl MonitoredTree {
    /// A tree that was just started, with what its job tells of it.
    pub(crate) fn new(
        record: TreeRecord,
        max_processes: u32,
        pipes: Option<Pipes>,
        seen: SeenMembers,
        roster: Roster,
    ) -> Self {
        MonitoredTree {
            record,
            max_processes,
            pipes,
            addr: None,
            seen,
            roster,
            initialized: None,
            initialized_at: None,
            measuring: Measuring::Not,
            taken: None,
            lost: None,
            said_too_many: false,
        }
    }

    /// Takes over from a worked-on copy what the monitor alone changes.
    pub(crate) fn take_over(&mut self, copy: &MonitoredTree) {
        self.record.processes.clone_from(&copy.record.processes);
        self.measuring.clone_from(&copy.measuring);
        (self.taken, self.lost, self.said_too_many) = (copy.taken, copy.lost, copy.said_too_many);
    }

    fn place(&self, place: TreeRole) -> Option<&Identity> {
        self.record.processes.iter().find(|one| one.place == place).map(|one| &one.identity)
    }

    pub(crate) fn guard(&self) -> Option<&Identity> {
        self.place(TreeRole::Guard)
    }

    pub(crate) fn root(&self) -> Option<&Identity> {
        self.place(TreeRole::Root)
    }

    /// The members of the tree, the guard first.
    pub(crate) fn members(&self, table: &[ProcessInfo]) -> Vec<ProcessInfo> {
        let Some(root) = self.root() else { return Vec::new() };
        let mut members = tree::members(table, self.guard(), root, &self.roster);
        if self.record.containment == Containment::Group {
            let guard = self.guard().map(|guard| guard.pid);
            members.retain(|one| one.pgid == root.pid || one.pgid == 0 || Some(one.pid) == guard);
        }
        members
    }

    /// The role of each member.
    pub(crate) fn judge(&self, facts: &[Facts]) -> Judgement {
        let exchange = match &self.measuring {
            Measuring::Done { exchange, .. } => Some(exchange),
            Measuring::Not | Measuring::Asked { .. } => None,
        };
        let listening = self.addr.map(|addr| listening(addr, facts));
        tree::judge(&tree::Observation {
            members: facts,
            guard: self.guard().map(|guard| guard.pid),
            root: self.root().map_or(0, |root| root.pid),
            exchange,
            initialized: self.initialized,
            listening: listening.as_ref(),
        })
    }

    fn take(&mut self, judgement: &Judgement, members: &[ProcessInfo]) {
        let found = members.iter().find(|one| Some(one.pid) == judgement.server);
        let confirmed = judgement.is_confirmed();
        self.taken = found.map(|one| Taken { pid: one.pid, start: one.start, confirmed });
    }

    /// Reads the counters before a ping.
    pub(crate) fn before_ping(&mut self, members: &[ProcessInfo]) {
        let tries = match self.measuring {
            Measuring::Not => 0,
            Measuring::Asked { tries, .. } | Measuring::Done { tries, .. } => tries,
        };
        self.measuring = Measuring::Asked { before: tree::count(members), tries: tries + 1 };
        if self.lost.is_none() {
            self.take(&self.judge(&tree::look(members, self.pipes)), members);
        }
    }

    /// Reads the counters after the answer to a ping, and again a moment later if they do not tell yet which process
    /// answered: the kernel counts what was written a moment after it has woken the reader. Blocks for that moment.
    pub(crate) fn after_ping(&mut self, members: &[ProcessInfo], sent: usize, answered: usize) {
        self.lost = None;
        let Measuring::Asked { before, tries } = std::mem::take(&mut self.measuring) else { return };
        for pause in [Duration::ZERO, MOMENT] {
            std::thread::sleep(pause);
            let exchange = Exchange::between(&before, &tree::count(members), sent as u64, answered as u64);
            self.measuring = Measuring::Done { exchange, tries };
            let judgement = self.judge(&tree::look(members, self.pipes));
            self.take(&judgement, members);
            if judgement.is_confirmed() {
                break;
            }
        }
    }

    /// Whether the last exchange did not tell which process is the server, and another one may.
    pub(crate) fn deserves_another_ping(&self) -> bool {
        let confirmed = self.taken.is_some_and(|taken| taken.confirmed);
        matches!(self.measuring, Measuring::Done { tries, .. } if tries < TRIES) && !confirmed
    }

    /// Writes the current members into the record. Returns false when they are the same as before.
    pub(crate) fn renew(&mut self, table: &[ProcessInfo]) -> bool {
        let Some(root) = self.root().cloned() else { return false };
        let guard = self.guard().map(|guard| guard.pid);
        let recorded = |one: &ProcessInfo| Recorded {
            pid: one.pid,
            identity: one.identity(&root.boot),
            place: if one.pid == root.pid { TreeRole::Root } else { TreeRole::Member },
            name: one.name.clone(),
        };
        let mut members = self.members(table);
        members.retain(|one| Some(one.pid) != guard);
        self.keep_the_separated(table, &mut members);
        let now: BTreeSet<(u32, u64)> =
            members.iter().map(|one| (one.pid, one.start)).chain([(root.pid, root.start)]).collect();
        let recorded_before = self.record.processes.iter().filter(|one| one.place != TreeRole::Guard);
        let before: BTreeSet<(u32, u64)> = recorded_before.map(|one| (one.pid, one.identity.start)).collect();
        self.seen.note(members.iter().map(|one| recorded(one).identity).collect());
        if now == before {
            return false;
        }
        // The root stays even after its exit: its number names the process group.
        let root_lives = members.iter().any(|one| one.pid == root.pid);
        self.record.processes.retain(|one| match one.place {
            TreeRole::Guard => true,
            TreeRole::Root => !root_lives,
            TreeRole::Member => false,
        });
        self.record.processes.extend(members.iter().map(recorded));
        true
    }

    /// Adds processes that were in the tree before and still live, though no parent leads to them any more: the guard was
    /// killed, and they had left their parents. If the daemon is killed before it has ended them, the record is all that
    /// names them.
    fn keep_the_separated(&self, table: &[ProcessInfo], members: &mut Vec<ProcessInfo>) {
        if self.record.containment == Containment::Group {
            return;
        }
        let recorded = self.record.processes.iter().filter(|one| one.place == TreeRole::Member);
        for one in recorded {
            let is_it =
                |now: &&ProcessInfo| (now.pid, now.start) == (one.pid, one.identity.start) && !now.zombie;
            let Some(now) = table.iter().find(is_it) else { continue };
            for found in process::descendants(table, now.pid).into_iter().chain([now.clone()]) {
                if !members.iter().any(|known| known.pid == found.pid) {
                    members.push(found);
                }
            }
        }
    }

    /// Whether the process that was taken for the server has ended.
    pub(crate) fn server_is_gone(&self, table: &[ProcessInfo]) -> bool {
        let Some(Taken { pid, start, .. }) = self.taken else { return false };
        !table.iter().any(|one| (one.pid, one.start) == (pid, start) && !one.zombie)
    }

    /// Whether `initialize` was answered and no living process has ever written a byte: the process that answered has ended
    /// before it could be identified, and another process holds the pipes open. Known only if all processes of the tree can
    /// be seen and their counters can be read.
    pub(crate) fn nobody_has_answered(&self, table: &[ProcessInfo]) -> bool {
        let confirmed = self.taken.is_some_and(|taken| taken.confirmed);
        let settled = self.initialized_at.is_some_and(|at| clock::now() > at + COUNTED);
        let strict = self.record.containment == Containment::Strict;
        let (Some(guard), true, false) = (self.guard(), strict && settled && self.addr.is_none(), confirmed)
        else {
            return false;
        };
        let mut members = self.members(table);
        members.retain(|one| one.pid != guard.pid);
        let counts = tree::count(&members);
        !members.is_empty()
            && counts.len() == members.len()
            && counts.iter().all(|count| count.io.written == 0)
    }

    /// Whether the server is gone for so long that no other process will answer in its place.
    pub(crate) fn is_unserved(&self) -> bool {
        match self.taken {
            // Another process may be the server, and be busy or answer no pings.
            Some(Taken { confirmed: false, .. }) => false,
            // `None`: no living process has answered anything.
            Some(Taken { confirmed: true, .. }) | None => {
                self.lost.is_some_and(|since| clock::now() > since + SUCCESSION)
            }
        }
    }

    /// Whether the tree has more processes than it may. Logged once.
    pub(crate) fn too_many(&mut self) -> Option<Unexpected> {
        let members = self.record.processes.iter().filter(|one| one.place != TreeRole::Guard).count();
        let too_many = members > self.max_processes as usize;
        let reason = format!(
            "{} has {members} processes, more than its `max_processes` of {}",
            self.record.id, self.max_processes
        );
        if too_many && !self.said_too_many {
            tracing::warn!("{reason}");
        }
        self.said_too_many = too_many;
        too_many.then(|| Unexpected {
            kind: "too-many".to_owned(),
            pid: self.root().map_or(0, |root| root.pid),
            of: Some(self.record.id.clone()),
            reason,
        })
    }
}

/// Which processes listen where the server should.
fn listening(addr: SocketAddr, facts: &[Facts]) -> Listening {
    let members: Vec<ProcessInfo> = facts.iter().map(|facts| facts.process.clone()).collect();
    let members = tree::listeners(&members, addr).unwrap_or_default();
    let stranger = if members.is_empty() { exai_os::port::owner(addr).ok().flatten() } else { None };
    Listening { addr, members, stranger }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, parent: u32, start: u64) -> ProcessInfo {
        ProcessInfo { pid, ppid: parent, pgid: pid, name: String::new(), start, rss_bytes: 0, zombie: false }
    }

    fn tree(containment: Containment) -> MonitoredTree {
        let identity = |pid: u32, start| Identity { boot: "b".to_owned(), pid, start };
        let recorded =
            |pid, start, place| Recorded { pid, identity: identity(pid, start), place, name: String::new() };
        let record = TreeRecord {
            schema: exai_supervisor::record::SCHEMA,
            instance: "n".to_owned(),
            daemon: identity(2, 1),
            server: "fix".to_owned(),
            id: "fix#1".to_owned(),
            started_at: String::new(),
            containment,
            processes: vec![recorded(3, 10, TreeRole::Guard), recorded(4, 11, TreeRole::Root)],
        };
        MonitoredTree::new(record, 64, None, SeenMembers::default(), Roster::default())
    }

    fn recorded(tree: &MonitoredTree) -> Vec<u32> {
        tree.record.processes.iter().map(|one| one.pid).collect()
    }

    #[test]
    fn who_left_its_parent_stays_recorded_when_the_guard_is_gone() {
        let mut tree = tree(Containment::Strict);
        let guarded = [row(3, 2, 10), row(4, 3, 11), row(5, 3, 12)];
        assert!(tree.renew(&guarded));
        assert_eq!(recorded(&tree), [3, 4, 5]);
        // The guard was killed, so its children are now children of the daemon. One of them has a new child.
        let alone = [row(4, 2, 11), row(5, 2, 12), row(6, 5, 13), row(7, 2, 14)];
        assert!(tree.renew(&alone));
        assert_eq!(recorded(&tree), [3, 4, 6, 5]);
        assert!(!tree.renew(&alone), "nothing is new");
        // All have ended, and another process has the pid of one of them. The record keeps the root because of its
        // group.
        assert!(tree.renew(&[row(5, 2, 99)]));
        assert_eq!(recorded(&tree), [3, 4]);
    }

    #[test]
    fn who_left_the_group_is_recorded_only_where_the_tree_reaches_it() {
        let mut tree = tree(Containment::Group);
        let member = ProcessInfo { pgid: 4, ..row(5, 3, 12) };
        tree.renew(&[row(3, 2, 10), row(4, 3, 11), member]);
        assert_eq!(recorded(&tree), [3, 4, 5]);
        tree.renew(&[row(4, 2, 11), row(5, 2, 12)]);
        assert_eq!(recorded(&tree), [3, 4]);
    }

    /// The guard of this tree is this test, which writes. Its child does not write.
    #[test]
    fn whoever_has_never_written_has_not_answered() {
        let sleeper = std::process::Command::new("sleep").arg("60").spawn();
        let (Ok(mut sleeper), Ok(_)) = (sleeper, exai_os::process_facts::io_counters(std::process::id()))
        else {
            return;
        };
        let table = process::snapshot().expect("the process table");
        let mut tree = tree(Containment::Strict);
        let me = process::current().expect("this process");
        let root = process::identify(sleeper.id()).expect("the process table").expect("it lives");
        let all = [(me.clone(), TreeRole::Guard), (root, TreeRole::Root)];
        let recorded = |(identity, place): (Identity, TreeRole)| Recorded {
            pid: identity.pid,
            identity,
            place,
            name: String::new(),
        };
        tree.record.processes = all.into_iter().map(recorded).collect();
        let long_ago = clock::now().checked_sub(Duration::from_secs(1));
        assert!(!tree.nobody_has_answered(&table), "nobody was to answer yet");
        tree.initialized_at = Some(clock::now());
        assert!(!tree.nobody_has_answered(&table), "it may not be counted yet");
        tree.initialized_at = long_ago;
        // Other tests of this process may have children too, so the table keeps only this child.
        let ours = |one: &&ProcessInfo| one.pid == sleeper.id() || one.pid == me.pid;
        let table: Vec<ProcessInfo> = table.iter().filter(ours).cloned().collect();
        assert!(tree.nobody_has_answered(&table));
        tree.taken = Some(Taken { pid: sleeper.id(), start: 0, confirmed: true });
        assert!(!tree.nobody_has_answered(&table), "it was seen to answer");
        tree.taken = None;
        tree.record.containment = Containment::Group;
        assert!(!tree.nobody_has_answered(&table), "who answers may have left the group");
        sleeper.kill().expect("it can be killed");
        sleeper.wait().expect("it can be waited for");
    }
}
