//! The watcher: a thread that looks once a second at every tree the daemon has started, keeps their records
//! true, and notices what should not be there.
//!
//! A look is one pass over the process table. Its price is measured, and the pause after it is at least two
//! hundred times as long, so that a machine with thousands of processes pays no more than half a percent
//! of one core either.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_mux::InstanceId;
use exai_os::process::{self, Identity, ProcessInfo};
use exai_proto::documents::Unexpected;
use exai_supervisor::Job;
use exai_supervisor::job::Seen;
use exai_supervisor::record::{Containment, Place, Recorded, TreeRecord};

/// How often the trees are looked at.
const PERIOD: Duration = Duration::from_millis(900);
/// How much longer than a look the pause after it is at least.
const SHARE: u32 = 200;

/// The way to the watcher. All copies are one watcher.
#[derive(Debug, Clone)]
pub(crate) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    home: Home,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    trees: BTreeMap<InstanceId, Tree>,
    closing: bool,
    /// How the last look went.
    last: Look,
}

/// One watched tree.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) record: TreeRecord,
    pub(crate) max_processes: u32,
    seen: Seen,
    /// It was said that the tree is too large, and is not said again before it was smaller.
    said_too_many: bool,
}

/// What a look found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    pub(crate) unexpected: Vec<Unexpected>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Tree {
    fn place(&self, place: Place) -> Option<&Identity> {
        self.record.processes.iter().find(|one| one.place == place).map(|one| &one.identity)
    }

    pub(crate) fn guard(&self) -> Option<&Identity> {
        self.place(Place::Guard)
    }

    pub(crate) fn root(&self) -> Option<&Identity> {
        self.place(Place::Root)
    }
}

impl Watch {
    pub(crate) fn new(home: Home) -> Self {
        Watch(Arc::new(Shared { home, state: Mutex::default(), wake: Condvar::new() }))
    }

    /// Starts the thread. It ends with [`Watch::close`].
    pub(crate) fn start(&self) -> std::io::Result<()> {
        let watch = self.clone();
        let thread = std::thread::Builder::new().name("watch".to_owned()).stack_size(256 * 1024);
        thread.spawn(move || watch.run()).map(drop)
    }

    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.0.wake.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch the tree of a job. The record is complete: guard and root are in it.
    pub(crate) fn track(&self, instance: InstanceId, record: TreeRecord, job: &Job, max_processes: u32) {
        let tree = Tree { record, max_processes, seen: job.seen(), said_too_many: false };
        self.state().trees.insert(instance, tree);
        self.0.wake.notify_all();
    }

    /// The tree has ended. Its record goes, unless some of it is left.
    pub(crate) fn forget(&self, instance: InstanceId, left: &[u32]) {
        let Some(mut tree) = self.state().trees.remove(&instance) else { return };
        let servers = self.0.home.servers_dir();
        tree.record.processes.retain(|one| left.contains(&one.pid));
        if tree.record.processes.is_empty() {
            return self.drop_record(&tree.record);
        }
        if let Err(error) = tree.record.write(&servers) {
            tracing::warn!(id = tree.record.id, %error, "the record of what is left cannot be written");
        }
    }

    /// Removes the record of a tree that ended before it was watched.
    pub(crate) fn drop_record(&self, record: &TreeRecord) {
        if let Err(error) = record.remove(&self.0.home.servers_dir()) {
            tracing::warn!(id = record.id, %error, "the record of a server's processes cannot be removed");
        }
    }

    /// The trees as they are watched now.
    pub(crate) fn trees(&self) -> HashMap<InstanceId, Tree> {
        self.state().trees.iter().map(|(&instance, tree)| (instance, tree.clone())).collect()
    }

    /// What the last look found.
    pub(crate) fn last(&self) -> Look {
        self.state().last.clone()
    }

    fn run(&self) {
        let mut pause = PERIOD;
        loop {
            {
                let state = self.state();
                let rest = |state: &mut State| !state.closing;
                let waited = self.0.wake.wait_timeout_while(state, pause, rest);
                if waited.unwrap_or_else(PoisonError::into_inner).0.closing {
                    return;
                }
            }
            let began = Instant::now();
            match process::snapshot() {
                Ok(table) => self.look(&table, began),
                Err(error) => tracing::debug!(%error, "the process table cannot be read"),
            }
            pause = PERIOD.max(began.elapsed() * SHARE);
        }
    }

    fn look(&self, table: &[ProcessInfo], began: Instant) {
        let mut changed = Vec::new();
        let mut state = self.state();
        let mut unexpected = Vec::new();
        for tree in state.trees.values_mut() {
            if let Some(members) = tree.joined_or_left(table) {
                tree.seen.note(members.iter().map(|one| one.identity.clone()).collect());
                changed.push(tree.record.clone());
            }
            unexpected.extend(tree.too_many());
        }
        state.last = Look { unexpected, took: began.elapsed() };
        drop(state);
        for record in changed {
            self.write(&record);
        }
    }

    /// Writes a record, unless its tree has ended meanwhile.
    fn write(&self, record: &TreeRecord) {
        let state = self.state();
        if !state.trees.values().any(|tree| tree.record.id == record.id) {
            return;
        }
        if let Err(error) = record.write(&self.0.home.servers_dir()) {
            tracing::warn!(id = record.id, %error, "the record of a server's processes cannot be written");
        }
    }
}

impl Tree {
    /// Who is below the guard; without one (Windows) the root and who is below it.
    pub(crate) fn members(&self, table: &[ProcessInfo]) -> Vec<ProcessInfo> {
        let Some(root) = self.root() else { return Vec::new() };
        let lives = |identity: &Identity| {
            table.iter().any(|one| one.pid == identity.pid && one.start == identity.start)
        };
        let top = self.guard().filter(|guard| lives(guard));
        let mut found: Vec<ProcessInfo> = match top {
            Some(guard) => process::descendants(table, guard.pid),
            None => table
                .iter()
                .filter(|one| one.pid == root.pid && one.start == root.start)
                .cloned()
                .chain(process::descendants(table, root.pid))
                .collect(),
        };
        if self.record.containment == Containment::Group {
            found.retain(|one| one.pgid == root.pid);
        }
        found.retain(|one| !one.zombie);
        found
    }

    /// Puts who is in the tree now into its record; `None` when these are the same as before.
    fn joined_or_left(&mut self, table: &[ProcessInfo]) -> Option<Vec<Recorded>> {
        let root = self.root()?.clone();
        let recorded = |one: &ProcessInfo| Recorded {
            pid: one.pid,
            identity: Identity { boot: root.boot.clone(), pid: one.pid, start: one.start },
            place: if one.pid == root.pid { Place::Root } else { Place::Member },
            name: one.name.clone(),
        };
        let members: Vec<Recorded> = self.members(table).iter().map(recorded).collect();
        let pids = |all: &[Recorded]| -> BTreeSet<(u32, u64)> {
            all.iter()
                .filter(|one| one.place != Place::Guard)
                .map(|one| (one.pid, one.identity.start))
                .collect()
        };
        let mut after = pids(&members);
        // The root stays in the record when it has exited: its number names the group.
        after.insert((root.pid, root.start));
        if after == pids(&self.record.processes) {
            return None;
        }
        self.record.processes.retain(|one| {
            one.place == Place::Guard
                || (one.place == Place::Root && !members.iter().any(|new| new.pid == one.pid))
        });
        self.record.processes.extend(members.iter().cloned());
        Some(members)
    }

    fn too_many(&mut self) -> Option<Unexpected> {
        let members = self.record.processes.iter().filter(|one| one.place != Place::Guard).count();
        let is = members > self.max_processes as usize;
        let reason = format!(
            "{} has {members} processes, more than its `max_processes` of {}",
            self.record.id, self.max_processes
        );
        if is && !self.said_too_many {
            tracing::warn!("{reason}");
        }
        self.said_too_many = is;
        is.then(|| Unexpected {
            kind: "too-many".to_owned(),
            pid: self.root().map_or(0, |root| root.pid),
            of: Some(self.record.id.clone()),
            reason,
        })
    }
}
