//! The thread of the process monitor: it carries out orders at once, and looks at all trees once a second.
//!
//! A look is one pass over the process table. Its cost is measured, and the pause after it is at least [`SHARE`] times as
//! long, so that the monitor takes no more than half a percent of one core on a machine with thousands of processes, too.

use std::collections::{BTreeSet, VecDeque};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use exai_mux::InstanceId;
use exai_os::process::{self, ProcessInfo};
use exai_os::{clock, failpoint};
use exai_proto::documents::Unexpected;
use exai_supervisor::record::TreeRecord;
use tokio::sync::mpsc;

use super::{MonitorEvent, Order, ProcessMonitor};
use crate::client::http_sessions::Sessions;
use crate::observe::adopted_orphans::{AdoptedOrphans, KnownTrees};
use crate::observe::monitored_tree::{Measuring, MonitoredTree};
use crate::observe::unknown_exai_processes::UnknownProcesses;

/// How often the monitor looks.
const PERIOD: Duration = Duration::from_millis(900);
/// By what factor the pause after a look is at least longer than the look.
const SHARE: u32 = 200;

/// Sends an event, and waits while the hub is busy. A hub that has ended ignores it.
fn send(events: &mpsc::Sender<MonitorEvent>, event: MonitorEvent) {
    let _ = events.blocking_send(event);
}

impl ProcessMonitor {
    pub(super) fn run(&self, nonce: String, events: &mpsc::Sender<MonitorEvent>, sessions: &Sessions) {
        let mut strangers: Option<UnknownProcesses> = None;
        let mut adopted = AdoptedOrphans::new(nonce.clone());
        let mut due = Instant::now() + PERIOD;
        while let Some(orders) = self.wait(due) {
            for order in orders {
                self.carry_out(order, events);
            }
            if due > Instant::now() {
                continue;
            }
            let began = process::thread_time();
            match process::snapshot() {
                Ok(table) => {
                    let home = || self.0.home.path().to_owned();
                    let strangers =
                        strangers.get_or_insert_with(|| UnknownProcesses::new(home(), nonce.clone(), &table));
                    let strays = adopted.find_unexpected(&table, &self.list_known_trees());
                    for instance in self.check_trees(&table, strangers, strays) {
                        send(events, MonitorEvent::Unserved { instance });
                    }
                    for client in sessions.end_orphaned_sessions(&table) {
                        send(events, MonitorEvent::Orphaned { client });
                    }
                }
                Err(error) => tracing::debug!(%error, "the process table cannot be read"),
            }
            let cost = process::thread_time().saturating_sub(began);
            due = Instant::now() + PERIOD.max(cost * SHARE);
        }
    }

    fn list_known_trees(&self) -> KnownTrees {
        let state = self.state();
        let trees = state.trees.values();
        KnownTrees {
            tops: trees.clone().filter_map(|tree| tree.guard().or(tree.root())).map(|top| top.pid).collect(),
            descent_tags: trees.map(|tree| tree.record.descent_tag()).collect(),
        }
    }

    /// Waits for orders or until `due`. Returns `None` when there are no orders and the daemon ends.
    fn wait(&self, due: Instant) -> Option<VecDeque<Order>> {
        let mut state = self.state();
        loop {
            let pause = due.saturating_duration_since(Instant::now());
            if state.closing || !state.orders.is_empty() || pause.is_zero() {
                let over = state.closing && state.orders.is_empty();
                return (!over).then(|| std::mem::take(&mut state.orders));
            }
            let waited = self.0.wake.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All files are written and removed on this thread: the hub never waits for a disk, and the removal of a record comes
    /// after the writing.
    fn write(&self, records: &[TreeRecord]) {
        for record in records {
            self.note_written(record, record.write(&self.0.home.servers_dir()));
        }
    }

    /// Remembers whether a record could be written.
    pub(super) fn note_written(&self, record: &TreeRecord, written: std::io::Result<()>) {
        let id = &record.id;
        match written {
            Ok(()) => {
                if self.state().unwritten.remove(id).is_some() {
                    tracing::info!(id, "the record of a server's processes is written");
                }
            }
            Err(error) => {
                let owed = (record.clone(), error.to_string());
                if self.state().unwritten.insert(id.clone(), owed).is_none() {
                    tracing::warn!(id, %error, "the record of a server's processes cannot be written");
                }
            }
        }
    }

    /// The records that still have to be written, without those in `changed`.
    fn list_unwritten_records(&self, changed: &[TreeRecord]) -> Vec<TreeRecord> {
        let state = self.state();
        let owed = state.unwritten.values().map(|(record, _)| record);
        owed.filter(|record| !changed.iter().any(|one| one.id == record.id)).cloned().collect()
    }

    fn remove_record(&self, record: &TreeRecord) {
        if !record.processes.is_empty() {
            return self.write(std::slice::from_ref(record));
        }
        self.state().unwritten.remove(&record.id);
        if let Err(error) = record.remove(&self.0.home.servers_dir()) {
            tracing::warn!(id = record.id, %error, "the record of a server's processes cannot be removed");
        }
    }

    fn carry_out(&self, order: Order, events: &mpsc::Sender<MonitorEvent>) {
        let instance = match &order {
            Order::Measure(instance) | Order::Pinged(instance, ..) => *instance,
            Order::Ended(record) => return self.remove_record(record),
        };
        let Some(tree) = self.state().trees.get(&instance).cloned() else { return };
        let Ok(table) = process::snapshot() else { return };
        let members = tree.members(&table);
        let mut tree = tree;
        match order {
            Order::Ended(_) => {}
            Order::Measure(_) => {
                tree.before_ping(&members);
                self.put_back(instance, &tree);
                send(events, MonitorEvent::Ping { instance });
            }
            Order::Pinged(_, sent, answered) => {
                tree.after_ping(&members, sent, answered);
                self.put_back(instance, &tree);
            }
        }
    }

    /// Writes a worked-on copy back. The tree may have ended meanwhile.
    fn put_back(&self, instance: InstanceId, worked_on: &MonitoredTree) {
        if let Some(tree) = self.state().trees.get_mut(&instance) {
            tree.take_over(worked_on);
        }
    }

    /// Looks at all trees. Returns the instances whose server is gone while another process of the tree lives on.
    ///
    /// Works on copies without the lock: the hub takes the lock, and must not wait for a process that hangs or for a slow
    /// system.
    fn check_trees(
        &self,
        table: &[ProcessInfo],
        strangers: &mut UnknownProcesses,
        strays: Vec<Unexpected>,
    ) -> Vec<InstanceId> {
        let mut trees = self.trees();
        let mut known: BTreeSet<u32> = self.state().shims.values().copied().collect();
        known.insert(std::process::id());
        let (mut orders, mut changed, mut unserved) = (Vec::new(), Vec::new(), Vec::new());
        let mut unexpected = strays;
        for (&instance, tree) in &mut trees {
            if let Err(error) = failpoint::reach("watch.looking") {
                tracing::debug!(%error, "looking all the same");
            }
            known.extend(tree.guard().map(|guard| guard.pid));
            if tree.renew(table) {
                changed.push(instance);
            }
            let gone = tree.lost.is_none() && tree.server_is_gone(table);
            let unknown = tree.lost.is_none() && !gone && tree.nobody_has_answered(table);
            if unknown {
                tree.taken = None;
            }
            if gone || unknown {
                tree.measuring = Measuring::Not;
                tree.lost = Some(clock::now());
            }
            if gone || unknown || tree.deserves_another_ping() {
                orders.push(Order::Measure(instance));
            }
            if tree.is_unserved() {
                unserved.push(instance);
            }
            unexpected.extend(tree.too_many());
        }
        unexpected.extend(strangers.unexpected(table, &known));
        let mut state = self.state();
        // A tree that has ended meanwhile is gone from the list, and its record is about to be removed.
        let lives = |instance: &InstanceId| state.trees.contains_key(instance);
        changed.retain(lives);
        unserved.retain(lives);
        for (instance, tree) in &trees {
            if let Some(kept) = state.trees.get_mut(instance) {
                kept.take_over(tree);
            }
        }
        state.orders.extend(orders);
        state.unexpected = unexpected;
        drop(state);
        let mut changed: Vec<TreeRecord> =
            changed.iter().filter_map(|instance| Some(trees.remove(instance)?.record)).collect();
        changed.extend(self.list_unwritten_records(&changed));
        self.write(&changed);
        unserved
    }
}
