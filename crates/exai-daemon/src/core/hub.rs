//! The hub: it owns the router, the clients and the instances. Its parts are the files of this folder: the loop is `run`,
//! what the router asks for is done in `effects`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use exai_config::Config;
use exai_mux::{ClientId, Effect, Event, InstanceId, Router};
use exai_os::clock;
use exai_supervisor::JobEvent;
use exai_supervisor::turns::Turn;
use tokio::sync::mpsc;

use crate::client::sink::Sink;
use crate::core::event::{HubEvent, HubHandle, Inboxes};
use crate::core::hub::deadline::NextDeadline;
use crate::core::stopping::Stopping;
use crate::limits::MAX_HUB_EVENTS;
use crate::observe::counters::Counters;
use crate::observe::facts::{ClientFacts, GarbledOutput};
use crate::observe::process_monitor::MonitorEvent;
use crate::state::store::Store;
use crate::state::verdicts::Verdicts;
use crate::upstream::event::ServerEvent;
use crate::upstream::http;
use crate::upstream::launch::Host;
use crate::upstream::running::Upstream;
use crate::upstream::server_output::OutputReader;

mod clients;
mod configuration;
mod deadline;
mod draining;
mod effects;
mod facts;
mod instances;
mod long_messages;
mod questions;
mod run;
mod server_lines;

struct ConnectedClient {
    sink: Sink,
    facts: ClientFacts,
}

/// One instance as the hub sees it.
struct HostedInstance {
    server: Arc<str>,
    number: u32,
    started_at: jiff::Timestamp,
    body: InstanceState,
    /// Of its stdout.
    reader: OutputReader,
    /// What it printed there before it was known here that it runs.
    early: Vec<Bytes>,
    /// What it did while a long message of it is being checked.
    behind: Option<VecDeque<DeferredEvent>>,
}

/// What an instance did while a long message of it was checked.
#[derive(Debug)]
enum DeferredEvent {
    Job(JobEvent),
    Http(http::event::Event),
    /// It was the last of its turn.
    Heard(Turn),
}

enum InstanceState {
    /// An earlier instance is still ending, and has the port that this one needs.
    Waiting,
    /// The program is being started.
    Spawning,
    /// It was told to stop before it had started.
    Unwanted,
    Running(Box<dyn Upstream>),
    /// It is being stopped; kept for its pid.
    Stopping(Box<dyn Upstream>),
}

/// The hub.
pub(crate) struct Hub {
    router: Router,
    config: Config,
    host: Host,
    clients: HashMap<ClientId, ConnectedClient>,
    hosted: HashMap<InstanceId, HostedInstance>,
    restarts: HashMap<Arc<str>, u32>,
    /// What servers have said that is no message.
    garbles: HashMap<Arc<str>, GarbledOutput>,
    /// What is kept for the next daemon.
    store: Store,
    verdicts: Verdicts,
    counters: Counters,
    handle: HubHandle,
    jobs: mpsc::Sender<(InstanceId, JobEvent)>,
    servers: mpsc::Sender<(InstanceId, ServerEvent)>,
    /// Reused, so that routing allocates nothing for it.
    effects: Vec<Effect>,
    pending: VecDeque<Event>,
    /// When time must be looked at next.
    due: NextDeadline,
    stopping: Option<Stopping>,
}

impl Hub {
    pub(crate) fn new(
        config: Config,
        host: Host,
        (handle, events): (HubHandle, mpsc::Receiver<HubEvent>),
        monitor: mpsc::Receiver<MonitorEvent>,
    ) -> (Self, Inboxes) {
        let (jobs, job_events) = mpsc::channel(MAX_HUB_EVENTS);
        let (servers, server_events) = mpsc::channel(MAX_HUB_EVENTS);
        // A nonce is random, and begins with more than 32 bits of it.
        let epoch = host.about.instance.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let store = Store::start(&host.tasks);
        let verdicts = Verdicts::load(&host.home);
        let hub = Hub {
            router: Router::new(epoch.unwrap_or_default()),
            config,
            host,
            clients: HashMap::new(),
            hosted: HashMap::new(),
            restarts: HashMap::new(),
            garbles: HashMap::new(),
            store,
            verdicts,
            counters: Counters::default(),
            handle,
            jobs,
            servers,
            effects: Vec::new(),
            pending: VecDeque::new(),
            due: NextDeadline::new(clock::now()),
            stopping: None,
        };
        (hub, Inboxes { events, jobs: job_events, servers: server_events, monitor })
    }

    /// Lets the router work on an event and carries out what it asks for, and what follows from that.
    fn route(&mut self, event: Event) {
        self.pending.push_back(event);
        self.run_pending();
    }

    fn run_pending(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            let mut effects = std::mem::take(&mut self.effects);
            self.router.handle(event, clock::now(), &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(effect);
            }
            self.effects = effects;
        }
    }
}
