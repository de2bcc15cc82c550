//! Children of the daemon that the daemon did not start: processes of a tree whose guard was killed, and processes that the
//! start files of a login shell have started.

use std::collections::{BTreeSet, HashMap, HashSet};

use exai_os::descent_tag::DescentTag;
use exai_os::process::{self, Kill, ProcessInfo};
use exai_os::tree::ORPHANS_ARE_ADOPTED;
use exai_proto::documents::Unexpected;

/// For how many looks a dead child is left to the code that started it.
const REAPED_BY_ITS_STARTER: u32 = 3;
/// For how many looks a living child may be there: the login shell has 2 s.
const PATIENCE: u32 = 4;

/// A process by its number and its start time.
type Key = (u32, u64);

/// The trees that the daemon knows at the moment.
pub(crate) struct KnownTrees {
    /// The guards, or the roots of trees without a guard: children that the daemon has started itself.
    pub(crate) tops: BTreeSet<u32>,
    /// The descent tags of trees that run or are being ended.
    pub(crate) descent_tags: HashSet<DescentTag>,
}

/// Watches the children of the daemon from look to look.
pub(crate) struct AdoptedOrphans {
    nonce: String,
    /// In how many looks each dead or living child was there.
    looks: HashMap<(Key, bool), u32>,
}

impl AdoptedOrphans {
    pub(crate) fn new(nonce: String) -> Self {
        AdoptedOrphans { nonce, looks: HashMap::new() }
    }

    /// Reaps dead children, ends those that carry the descent tag of an ended tree, and returns the others.
    pub(crate) fn find_unexpected(&mut self, table: &[ProcessInfo], known: &KnownTrees) -> Vec<Unexpected> {
        if !ORPHANS_ARE_ADOPTED {
            return Vec::new();
        }
        let me = std::process::id();
        let children = table.iter().filter(|one| one.ppid == me && !known.tops.contains(&one.pid));
        let children: Vec<&ProcessInfo> = children.collect();
        let there: HashSet<(Key, bool)> = children.iter().map(|one| key(one)).collect();
        self.looks.retain(|key, _| there.contains(key));
        children.into_iter().filter_map(|one| self.meet(one, known)).collect()
    }

    fn meet(&mut self, one: &ProcessInfo, known: &KnownTrees) -> Option<Unexpected> {
        let looks = self.looks.entry(key(one)).or_default();
        *looks += 1;
        if one.zombie {
            if *looks > REAPED_BY_ITS_STARTER {
                exai_os::tree::reap(one.pid);
            }
            return None;
        }
        let descent_tag = DescentTag::of(one.pid).ok().flatten();
        if descent_tag.is_some_and(|descent_tag| known.descent_tags.contains(&descent_tag)) {
            // The tree is being ended, and this process with it.
            return None;
        }
        if descent_tag.is_some_and(|descent_tag| descent_tag.is_kept_by(&self.nonce)) {
            end(one);
            return None;
        }
        // `unknown_processes` tells of processes of this program.
        if *looks <= PATIENCE || exai_os::ownership::runs_our_program(one.pid).unwrap_or(true) {
            return None;
        }
        let reason =
            "is a child of the daemon that it has not started, and is of no tree: something that a server \
                      or the login shell has left"
                .to_owned();
        if *looks == PATIENCE + 1 {
            tracing::warn!(pid = one.pid, name = one.name, reason, "an unexpected process");
        }
        Some(Unexpected { kind: "escaped".to_owned(), pid: one.pid, of: None, reason })
    }
}

fn key(one: &ProcessInfo) -> (Key, bool) {
    ((one.pid, one.start), one.zombie)
}

/// Whether the descent tag of a process says that it descends from a root of ours whose tree has ended.
fn end(one: &ProcessInfo) {
    let Ok(me) = process::current() else { return };
    match process::kill_verified(&one.identity(&me.boot), Kill::Force) {
        Ok(_) => tracing::info!(pid = one.pid, name = one.name, "ended what a tree had left behind"),
        Err(error) => tracing::warn!(pid = one.pid, %error, "what a tree has left behind cannot be ended"),
    }
}
