//! The watcher: a thread that looks once a second at every tree the daemon has started, keeps their records
//! true, finds out which process is the server, and notices what should not be there. It also looks whose the HTTP
//! sessions are ([`crate::client::session_usage`]), and lets those go whose process is gone.
//!
//! A look is one pass over the process table. Its price is measured, and the pause after it is at least two
//! hundred times as long, so that a machine with thousands of processes pays no more than half a percent
//! of one core either.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_mux::{ClientId, InstanceId};
use exai_os::process::{self, ProcessInfo};
use exai_os::{clock, failpoint};
use exai_proto::documents::Unexpected;
use exai_supervisor::Job;
use exai_supervisor::record::TreeRecord;
use tokio::sync::mpsc;

use crate::client::http_sessions::Sessions;
use crate::observe::adopted_orphans::{AdoptedOrphans, KnownTrees};
use crate::observe::monitored_tree::{Measuring, MonitoredTree};
use crate::observe::unknown_processes::UnknownProcesses;

/// How often the trees are looked at.
const PERIOD: Duration = Duration::from_millis(900);
/// How much longer than a look the pause after it is at least.
const SHARE: u32 = 200;

/// What the hub hears of the process monitor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MonitorEvent {
    /// A server is to be pinged, so that it shows which process answers.
    Ping { instance: InstanceId },
    /// The process that spoke MCP is gone, though a launcher of it lives on.
    Unserved { instance: InstanceId },
    /// The process that used this HTTP session is gone.
    Orphaned { client: ClientId },
}

/// Waits while the hub has much to do. A hub that is gone needs to know nothing.
fn send(events: &mpsc::Sender<MonitorEvent>, event: MonitorEvent) {
    let _ = events.blocking_send(event);
}

/// The way to the watcher. All copies are one watcher.
#[derive(Debug, Clone)]
pub(crate) struct ProcessMonitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    home: Home,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    trees: BTreeMap<InstanceId, MonitoredTree>,
    /// The pids of the connected shims.
    shims: HashMap<ClientId, u32>,
    orders: VecDeque<Order>,
    unexpected: Vec<Unexpected>,
    /// The records that could not be written, by the names of their trees: the disk may be full. They are tried again with
    /// each look.
    unwritten: BTreeMap<String, (TreeRecord, String)>,
    closing: bool,
}

#[derive(Debug)]
enum Order {
    /// Find out who the server is: count, and have it pinged.
    Measure(InstanceId),
    /// It was pinged with so many bytes, and answered with so many.
    Pinged(InstanceId, usize, usize),
    /// A tree has ended: its record goes, unless it still names somebody.
    Ended(TreeRecord),
}

impl ProcessMonitor {
    pub(crate) fn new(home: Home) -> Self {
        ProcessMonitor(Arc::new(Shared { home, state: Mutex::default(), wake: Condvar::new() }))
    }

    /// Starts the thread. It ends after [`ProcessMonitor::close`].
    pub(crate) fn start(
        &self,
        nonce: String,
        events: mpsc::Sender<MonitorEvent>,
        sessions: Sessions,
    ) -> std::io::Result<JoinHandle<()>> {
        let watch = self.clone();
        let thread = std::thread::Builder::new().name("watch".to_owned()).stack_size(256 * 1024);
        thread.spawn(move || watch.run(nonce, &events, &sessions))
    }

    /// Lets the thread end when it has done what it was told before.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.0.wake.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch the tree of a job. Its record is complete: guard and root are in it. `written` is what became of
    /// its file.
    pub(crate) fn track(
        &self,
        instance: InstanceId,
        (record, written): (TreeRecord, std::io::Result<()>),
        job: &Job,
        max_processes: u32,
    ) {
        self.note(&record, written);
        let tree = MonitoredTree {
            record,
            max_processes,
            pipes: job.pipes(),
            addr: None,
            seen: job.seen(),
            roster: job.roster(),
            initialized: None,
            initialized_at: None,
            measuring: Measuring::Not,
            taken: None,
            lost: None,
            said_too_many: false,
        };
        self.state().trees.insert(instance, tree);
    }

    /// The server of a tree has answered `initialize`: now it can be found out who that is.
    pub(crate) fn initialized(&self, instance: InstanceId) {
        let now = exai_os::evidence::clock().ok();
        let mut state = self.state();
        let Some(tree) = state.trees.get_mut(&instance) else { return };
        tree.initialized = now;
        tree.initialized_at = Some(clock::now());
        if tree.addr.is_some() {
            // No ping goes through its pipes.
            return;
        }
        state.orders.push_back(Order::Measure(instance));
        self.0.wake.notify_all();
    }

    /// The ping that the watcher asked for was answered.
    pub(crate) fn pinged(&self, instance: InstanceId, sent: usize, answered: usize) {
        self.state().orders.push_back(Order::Pinged(instance, sent, answered));
        self.0.wake.notify_all();
    }

    /// A shim is connected.
    pub(crate) fn shim_came(&self, client: ClientId, pid: u32) {
        self.state().shims.insert(client, pid);
    }

    pub(crate) fn client_went(&self, client: ClientId) {
        self.state().shims.remove(&client);
    }

    /// The tree has ended, but for those that are left.
    pub(crate) fn forget(&self, instance: InstanceId, left: &[u32]) {
        let Some(mut tree) = self.state().trees.remove(&instance) else { return };
        // Somebody may miss one of them: a browser or a tmux session that the server had opened.
        let ended = tree.record.processes.iter().filter(|one| !left.contains(&one.pid));
        let ended: Vec<String> = ended.map(|one| format!("{} ({})", one.name, one.pid)).collect();
        tracing::info!(id = tree.record.id, processes = ended.join(", "), "its processes have ended");
        tree.record.processes.retain(|one| left.contains(&one.pid));
        self.ended(tree.record);
    }

    /// A tree has ended before it was watched.
    pub(crate) fn never_mind(&self, mut record: TreeRecord) {
        record.processes.clear();
        self.ended(record);
    }

    fn ended(&self, record: TreeRecord) {
        self.state().orders.push_back(Order::Ended(record));
        self.0.wake.notify_all();
    }

    /// The trees as they are watched now.
    pub(crate) fn trees(&self) -> BTreeMap<InstanceId, MonitoredTree> {
        self.state().trees.clone()
    }

    /// One of them.
    pub(crate) fn tree(&self, instance: InstanceId) -> Option<MonitoredTree> {
        self.state().trees.get(&instance).cloned()
    }

    /// Where the server of a tree listens, or is to: what its role is known by instead of its pipes.
    pub(crate) fn listens(&self, instance: InstanceId, addr: SocketAddr) {
        if let Some(tree) = self.state().trees.get_mut(&instance) {
            tree.addr = Some(addr);
        }
    }

    /// What the last look found that should not be there.
    pub(crate) fn unexpected(&self) -> Vec<Unexpected> {
        self.state().unexpected.clone()
    }

    /// The trees whose records could not be written, and why.
    pub(crate) fn unwritten(&self) -> Vec<(String, String)> {
        let state = self.state();
        state.unwritten.iter().map(|(id, (_, error))| (id.clone(), error.clone())).collect()
    }

    fn run(&self, nonce: String, events: &mpsc::Sender<MonitorEvent>, sessions: &Sessions) {
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
                    let strays = adopted.look(&table, &self.known());
                    for instance in self.look(&table, strangers, strays) {
                        send(events, MonitorEvent::Unserved { instance });
                    }
                    for client in sessions.look(&table) {
                        send(events, MonitorEvent::Orphaned { client });
                    }
                }
                Err(error) => tracing::debug!(%error, "the process table cannot be read"),
            }
            let cost = process::thread_time().saturating_sub(began);
            due = Instant::now() + PERIOD.max(cost * SHARE);
        }
    }

    fn known(&self) -> KnownTrees {
        let state = self.state();
        let trees = state.trees.values();
        KnownTrees {
            tops: trees.clone().filter_map(|tree| tree.guard().or(tree.root())).map(|top| top.pid).collect(),
            descent_tags: trees.map(|tree| tree.record.descent_tag()).collect(),
        }
    }

    /// Waits for orders or until `due`; `None` when there are none and the daemon ends.
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

    /// All files are written and removed on this thread: the hub never waits for a disk, and a record that is
    /// written late is removed after that.
    fn write(&self, records: &[TreeRecord]) {
        for record in records {
            self.note(record, record.write(&self.0.home.servers_dir()));
        }
    }

    /// Remembers what became of a record.
    fn note(&self, record: &TreeRecord, written: std::io::Result<()>) {
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

    /// The records that are still to be written, without those that are written anyway.
    fn owed(&self, changed: &[TreeRecord]) -> Vec<TreeRecord> {
        let state = self.state();
        let owed = state.unwritten.values().map(|(record, _)| record);
        owed.filter(|record| !changed.iter().any(|one| one.id == record.id)).cloned().collect()
    }

    fn remove(&self, record: &TreeRecord) {
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
            Order::Ended(record) => return self.remove(record),
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

    /// The tree was worked on outside the lock, and may have ended meanwhile.
    fn put_back(&self, instance: InstanceId, worked_on: &MonitoredTree) {
        if let Some(tree) = self.state().trees.get_mut(&instance) {
            tree.take_over(worked_on);
        }
    }

    /// Looks at all trees, and returns the instances whose server is gone though something of their tree lives on.
    ///
    /// Processes are looked at without the lock, on copies: the hub takes it, and must not wait for a process that
    /// hangs, or for a system that tells slowly about one.
    fn look(
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
        // A tree that has ended meanwhile is not there any more, and its record is on its way out.
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
        changed.extend(self.owed(&changed));
        self.write(&changed);
        unserved
    }
}
