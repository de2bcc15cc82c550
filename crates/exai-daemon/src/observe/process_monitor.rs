//! The process monitor: a thread that looks once a second at every tree that the daemon has started. It keeps their records
//! true, finds out which process of a tree is the server, and reports processes that should not be there. It also finds out
//! which process uses an HTTP session ([`crate::client::session_process`]), and reports sessions whose process has ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use exai_config::Home;
use exai_mux::{ClientId, InstanceId};
use exai_os::clock;
use exai_proto::documents::Unexpected;
use exai_supervisor::Job;
use exai_supervisor::record::TreeRecord;
use tokio::sync::mpsc;

use crate::client::http_sessions::Sessions;
use crate::observe::monitored_tree::MonitoredTree;

mod thread;

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

/// A handle of the monitor. All copies are one monitor.
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
    /// Records that could not be written, for example since the disk is full, by the name of the tree. Each look tries
    /// again.
    unwritten: BTreeMap<String, (TreeRecord, String)>,
    closing: bool,
}

#[derive(Debug)]
enum Order {
    /// Find out which process is the server: read the counters, and have the server pinged.
    Measure(InstanceId),
    /// The server was pinged with so many bytes and answered with so many.
    Pinged(InstanceId, usize, usize),
    /// A tree has ended. Its record is removed, unless it still names a process.
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

    /// Ends the thread once it has done what it was ordered before.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.0.wake.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to monitor the tree of a job. Guard and root are in its record. `written` is the outcome of writing the
    /// record's file.
    pub(crate) fn add_tree(
        &self,
        instance: InstanceId,
        (record, written): (TreeRecord, std::io::Result<()>),
        job: &Job,
        max_processes: u32,
    ) {
        self.note_written(&record, written);
        let tree = MonitoredTree::new(record, max_processes, job.pipes(), job.seen(), job.roster());
        self.state().trees.insert(instance, tree);
    }

    /// Notes that the server of a tree has answered `initialize`: from now on the monitor can find out which process that
    /// was.
    pub(crate) fn note_initialized(&self, instance: InstanceId) {
        let now = exai_os::process_facts::clock().ok();
        let mut state = self.state();
        let Some(tree) = state.trees.get_mut(&instance) else { return };
        tree.initialized = now;
        tree.initialized_at = Some(clock::now());
        if tree.addr.is_some() {
            // A server with a port gets no ping through its pipes.
            return;
        }
        state.orders.push_back(Order::Measure(instance));
        self.0.wake.notify_all();
    }

    /// Notes the answer to a ping that the monitor asked for.
    pub(crate) fn note_pinged(&self, instance: InstanceId, sent: usize, answered: usize) {
        self.state().orders.push_back(Order::Pinged(instance, sent, answered));
        self.0.wake.notify_all();
    }

    /// Notes the process of a shim that has connected.
    pub(crate) fn add_shim(&self, client: ClientId, pid: u32) {
        self.state().shims.insert(client, pid);
    }

    pub(crate) fn remove_client(&self, client: ClientId) {
        self.state().shims.remove(&client);
    }

    /// Notes that a tree has ended, except for the processes `left`.
    pub(crate) fn remove_tree(&self, instance: InstanceId, left: &[u32]) {
        let Some(mut tree) = self.state().trees.remove(&instance) else { return };
        // A person may look for one of them: a browser or a tmux session that the server had opened.
        let ended = tree.record.processes.iter().filter(|one| !left.contains(&one.pid));
        let ended: Vec<String> = ended.map(|one| format!("{} ({})", one.name, one.pid)).collect();
        tracing::info!(id = tree.record.id, processes = ended.join(", "), "its processes have ended");
        tree.record.processes.retain(|one| left.contains(&one.pid));
        self.order_removal(tree.record);
    }

    /// Notes that a tree has ended before it was monitored.
    pub(crate) fn discard_record(&self, mut record: TreeRecord) {
        record.processes.clear();
        self.order_removal(record);
    }

    fn order_removal(&self, record: TreeRecord) {
        self.state().orders.push_back(Order::Ended(record));
        self.0.wake.notify_all();
    }

    /// All trees as they are now.
    pub(crate) fn trees(&self) -> BTreeMap<InstanceId, MonitoredTree> {
        self.state().trees.clone()
    }

    /// One tree as it is now.
    pub(crate) fn tree(&self, instance: InstanceId) -> Option<MonitoredTree> {
        self.state().trees.get(&instance).cloned()
    }

    /// Notes where the server of a tree listens or will listen. Its role is then known by that, and not by its pipes.
    pub(crate) fn set_address(&self, instance: InstanceId, addr: SocketAddr) {
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
}
