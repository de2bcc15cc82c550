//! The hub: it owns the router, the clients and the instances, and never waits. This file holds its state; the files of
//! this folder hold its steps: `run` is the loop, `effects` does what the router asks for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use exai_config::Config;
use exai_mux::{ClientId, Effect, Event, InstanceId, Router};
use exai_os::clock;
use exai_proto::last_connections::LastConnections;
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
use crate::state::last_connections;
use crate::state::store::Store;
use crate::state::verdicts::Verdicts;
use crate::upstream::conversation_event::ConversationEvent;
use crate::upstream::event::ServerEvent;
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

impl ConnectedClient {
    /// Whether the documents show the client. One of the modern era over HTTP is nothing but its requests.
    fn is_shown(&self) -> bool {
        self.facts.shown && (!self.facts.stateless || self.sink.has_open_stream())
    }
}

/// One run of a server.
struct HostedInstance {
    server: Arc<str>,
    number: u32,
    started_at: jiff::Timestamp,
    body: InstanceState,
    /// Tells messages from text on its stdout.
    reader: OutputReader,
    /// Lines that the server printed before the hub knew that it runs.
    early: Vec<Bytes>,
    /// While a long message of the server is being checked: what the server did since.
    behind: Option<VecDeque<DeferredEvent>>,
}

/// An event of a server that waits until a long message of that server was checked.
#[derive(Debug)]
enum DeferredEvent {
    Job(JobEvent),
    Conversation(ConversationEvent),
    /// The long message was the last of this turn.
    Heard(Turn),
}

enum InstanceState {
    /// An earlier instance is still ending, and holds the port that this one needs.
    Waiting,
    /// The program is being started.
    Spawning,
    /// The program is being started, and is to be stopped as soon as it runs.
    Unwanted,
    Running(Box<dyn Upstream>),
    /// The server is being stopped.
    Stopping(Box<dyn Upstream>),
}

/// The state of the hub.
pub(crate) struct Hub {
    router: Router,
    config: Arc<Config>,
    host: Host,
    clients: HashMap<ClientId, ConnectedClient>,
    hosted: HashMap<InstanceId, HostedInstance>,
    restarts: HashMap<Arc<str>, u32>,
    /// Output of servers that is no message of MCP, by server.
    garbles: HashMap<Arc<str>, GarbledOutput>,
    /// Writes the files that the next daemon reads.
    store: Store,
    verdicts: Verdicts,
    last_connections: LastConnections,
    counters: Counters,
    handle: HubHandle,
    jobs: mpsc::Sender<(InstanceId, JobEvent)>,
    servers: mpsc::Sender<(InstanceId, ServerEvent)>,
    /// Reused for each event, so that routing does not allocate.
    effects: Vec<Effect>,
    pending: VecDeque<Event>,
    /// When the loop must look at the time next.
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
        // The nonce is random, and its first eight digits are 32 random bits.
        let epoch = host.daemon.instance.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let store = Store::start(&host.tasks);
        let verdicts = Verdicts::load(&host.home);
        let last_connections = last_connections::load(&host.home);
        let hub = Hub {
            router: Router::new(epoch.unwrap_or_default()),
            config: Arc::new(config),
            host,
            clients: HashMap::new(),
            hosted: HashMap::new(),
            restarts: HashMap::new(),
            garbles: HashMap::new(),
            store,
            verdicts,
            last_connections,
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

    /// Has the router handle an event, and carries out the effects and the events that follow from them.
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
