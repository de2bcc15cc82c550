//! The one loop: it owns the router, the clients and the instances, and carries out the router's effects.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_config::Config;
use exai_mux::policy::Policy;
use exai_mux::{ClientId, Down, Effect, Endpoint, Event, InstanceId, Router};
use exai_os::{build, clock, failpoint};
use exai_proto::Message;
use exai_proto::documents::{Ps, SCHEMA, ServerState, Servers, Status, Why};
use exai_proto::link::ByeReason;
use exai_supervisor::JobEvent;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::counters::{Counters, Present};
use crate::discovery::{self, Known};
use crate::garbled::Reader;
use crate::hosting::{self, Host, Started};
use crate::intake::Claim;
use crate::running::Running;
use crate::sink::{LetGo, Sink};
use crate::status::{ClientFacts, Facts, InstanceFacts};
use crate::stopping::{self, Room, Stopping};
use crate::store::Store;
use crate::upstream_http;
use crate::verdicts::Verdicts;
use due::Due;
use exai_supervisor::turns::Turn;
use long::{Behind, Checked};

mod clients;
mod due;
mod instances;
mod lines;
mod long;

pub(crate) use lines::Garble;

/// How many events may wait. Whoever has more to say waits until there is room.
const EVENTS: usize = 1024;
/// How long a server may take for each step of its end when the daemon ends.
const HURRY: Duration = Duration::from_secs(1);
/// How many events are worked on before the loop looks at anything else.
const BATCH: usize = 64;

/// Everything that can reach the hub, but for what jobs do.
#[derive(Debug)]
pub(crate) enum HubEvent {
    /// A client connected.
    Open { client: ClientId, endpoint: Endpoint, sink: Sink, facts: ClientFacts },
    /// A client said something. Its turn and its part of the budget end when this was heard.
    Said { client: ClientId, messages: Vec<Message>, claim: Claim, turn: Turn },
    /// A shim keeps what its client says from now on; what it had sent before was said before this.
    Held { client: ClientId },
    /// A client is gone, or is to go.
    Close { client: ClientId, why: LetGo },
    /// A program was started, or could not be.
    Spawned { instance: InstanceId, outcome: Result<Box<Started>, Down> },
    /// What a server that is reached by URL does.
    Upstream { instance: InstanceId, event: upstream_http::Event },
    /// The watcher wants a server to be pinged.
    Ping { instance: InstanceId },
    /// The process that spoke MCP is gone, though a launcher of it lives on.
    Unserved { instance: InstanceId },
    /// A long message of a server was checked.
    Checked { instance: InstanceId, checked: Checked },
    /// The built-in server answers.
    Builtin { instance: InstanceId, message: Bytes },
    /// Somebody wants to know something or have something done.
    Ask(Question),
    /// This was known of servers when they ran before.
    Known(Vec<Known>),
    /// The configuration was read again.
    Loaded { outcome: Result<Config, String>, reply: oneshot::Sender<Result<(), String>> },
    /// A server was added: it is started, so that what it offers is known.
    Warm { server: String },
    /// The daemon is to end, after at most this long for what is under way.
    Stop { grace: Duration, reason: ByeReason },
}

/// What can be asked of the hub, each with the way back.
#[derive(Debug)]
pub(crate) enum Question {
    Status(oneshot::Sender<Status>),
    Ps(oneshot::Sender<Ps>),
    Servers(oneshot::Sender<Servers>),
    Reload(oneshot::Sender<Result<(), String>>),
    Why {
        server: String,
        reply: oneshot::Sender<Result<Why, String>>,
    },
    RestartServer {
        server: String,
        reply: oneshot::Sender<Result<usize, String>>,
    },
    /// Another build wants this daemon's place.
    MakeRoom {
        build: String,
        reply: oneshot::Sender<Room>,
    },
    /// Whether the loop turns: it writes down the number.
    Pulse {
        number: u64,
        answered: Arc<AtomicU64>,
    },
}

/// The way to the hub.
#[derive(Debug, Clone)]
pub(crate) struct HubHandle {
    events: mpsc::Sender<HubEvent>,
    next_client: Arc<AtomicU64>,
}

/// The hub is gone: the daemon is stopping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone;

impl HubHandle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<HubEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        (HubHandle { events, next_client: Arc::new(AtomicU64::new(1)) }, receiver)
    }

    pub(crate) async fn send(&self, event: HubEvent) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_| Gone)
    }

    /// The same from a thread of its own. A hub that is gone needs to know nothing.
    pub(crate) fn send_from_thread(&self, event: HubEvent) {
        let _ = self.events.blocking_send(event);
    }

    /// How many events wait.
    fn waiting(&self) -> usize {
        self.events.max_capacity() - self.events.capacity()
    }

    /// Asks without waiting for room. Returns whether there was any.
    pub(crate) fn try_ask(&self, question: Question) -> bool {
        self.events.try_send(HubEvent::Ask(question)).is_ok()
    }

    /// Whether the hub has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.events.is_closed()
    }

    /// Introduces a client.
    pub(crate) async fn open(
        &self,
        endpoint: Endpoint,
        sink: Sink,
        facts: ClientFacts,
    ) -> Result<ClientId, Gone> {
        let client = self.next_client();
        self.send(HubEvent::Open { client, endpoint, sink, facts }).await?;
        Ok(client)
    }

    /// A client's id, never used before.
    pub(crate) fn next_client(&self) -> ClientId {
        ClientId(self.next_client.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.send(HubEvent::Ask(question(reply))).await?;
        answer.await.map_err(|_| Gone)
    }
}

struct Connected {
    sink: Sink,
    facts: ClientFacts,
}

/// One instance as the hub sees it.
struct Hosted {
    server: Arc<str>,
    number: u32,
    started_at: jiff::Timestamp,
    body: Body,
    /// Of its stdout.
    reader: Reader,
    /// What it printed there before it was known here that it runs.
    early: Vec<Bytes>,
    /// What it did while a long message of it is being checked.
    behind: Option<VecDeque<Behind>>,
}

enum Body {
    /// An earlier instance is still ending, and has the port that this one needs.
    Waiting,
    /// The program is being started.
    Spawning,
    /// It was told to stop before it had started.
    Unwanted,
    Running(Running),
    /// It is being stopped; kept for its pid.
    Stopping(Running),
    Builtin,
}

/// The hub.
pub(crate) struct Hub {
    router: Router,
    config: Config,
    host: Host,
    clients: HashMap<ClientId, Connected>,
    hosted: HashMap<InstanceId, Hosted>,
    restarts: HashMap<Arc<str>, u32>,
    /// What servers have said that is no message.
    garbles: HashMap<Arc<str>, Garble>,
    /// What is kept for the next daemon.
    store: Store,
    verdicts: Verdicts,
    counters: Counters,
    handle: HubHandle,
    jobs: mpsc::Sender<(InstanceId, JobEvent)>,
    /// Reused, so that routing allocates nothing for it.
    effects: Vec<Effect>,
    pending: VecDeque<Event>,
    /// When time must be looked at next.
    due: Due,
    stopping: Option<Stopping>,
}

impl Hub {
    pub(crate) fn new(
        config: Config,
        host: Host,
        handle: HubHandle,
    ) -> (Self, mpsc::Receiver<(InstanceId, JobEvent)>) {
        let (jobs, job_events) = mpsc::channel(EVENTS);
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
            effects: Vec::new(),
            pending: VecDeque::new(),
            due: Due::new(clock::now()),
            stopping: None,
        };
        (hub, job_events)
    }

    /// Runs until the daemon has stopped: no request under way, no program left.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<HubEvent>,
        mut jobs: mpsc::Receiver<(InstanceId, JobEvent)>,
    ) {
        let policies = self.configure();
        // The first clients must not wait for what is known, nor others for a file that somebody has open.
        let home = self.host.home.clone();
        let known = tokio::task::spawn_blocking(move || discovery::load(&home, &policies)).await;
        self.know(known.unwrap_or_default());
        let mut heard = Vec::with_capacity(BATCH);
        let mut done = Vec::with_capacity(BATCH);
        loop {
            let now = clock::now();
            if self.due.needs_settling(now) {
                self.due.settle(self.next_due(now), now);
            }
            let due = self.due.next();
            let until_due = async {
                match due {
                    Some(at) => sleep(clock::until(at)).await,
                    None => std::future::pending().await,
                }
            };
            // In no fixed order: a server that talks without end must not keep clients from being heard.
            tokio::select! {
                _ = jobs.recv_many(&mut done, BATCH) => {
                    self.due.unsettle();
                    for (instance, event) in done.drain(..) {
                        self.job(instance, event);
                    }
                }
                _ = events.recv_many(&mut heard, BATCH) => {
                    self.due.unsettle();
                    for event in heard.drain(..) {
                        self.hear(event);
                    }
                }
                () = until_due => {}
            }
            if self.due.is_reached(clock::now()) {
                self.due.unsettle();
                self.tick();
            }
            // The last answer may have been given: whoever waits for the next daemon need not wait for a tick.
            self.stop_if_drained();
            if self.is_done() {
                break;
            }
        }
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.let_go(client, LetGo::Stopping);
        }
    }

    fn hear(&mut self, event: HubEvent) {
        match event {
            HubEvent::Said { client, messages, claim, turn } => {
                // Who was let go meanwhile has said it to nobody.
                if self.clients.contains_key(&client) {
                    self.said(client, messages);
                    turn.end();
                }
                drop(claim);
            }
            HubEvent::Open { client, endpoint, sink, facts } => self.open(client, endpoint, sink, facts),
            HubEvent::Held { client } => {
                self.stopping.iter_mut().for_each(|stopping| stopping.heard(client));
                self.stop_if_drained();
            }
            HubEvent::Close { client, why } => {
                self.let_go(client, why);
                self.run_pending();
            }
            HubEvent::Spawned { instance, outcome } => self.spawned(instance, outcome),
            HubEvent::Upstream { instance, event } => self.upstream(instance, event),
            HubEvent::Ping { instance } => self.route(Event::Ping { instance }),
            HubEvent::Unserved { instance } => self.unserved(instance),
            HubEvent::Checked { instance, checked } => self.checked(instance, checked),
            HubEvent::Builtin { instance, message } => {
                if let Ok(message) = Message::parse(message) {
                    self.route(Event::FromServer { instance, message });
                }
            }
            HubEvent::Ask(question) => self.reply(question),
            HubEvent::Loaded { outcome, reply } => {
                let outcome = outcome.map(|config| {
                    if config != self.config {
                        tracing::info!(servers = config.servers.len(), "configuration loaded");
                        self.config = config;
                        let servers = &self.config.servers;
                        self.garbles.retain(|server, _| servers.get(server).is_some());
                        let policies = self.configure();
                        let (home, hub) = (self.host.home.clone(), self.handle.clone());
                        self.host.tasks.spawn(async move {
                            let load = move || discovery::load(&home, &policies);
                            let loaded = tokio::task::spawn_blocking(load).await;
                            // A hub that is gone needs to know nothing.
                            let _ = hub.send(HubEvent::Known(loaded.unwrap_or_default())).await;
                        });
                    }
                });
                // The last good one stays in force.
                let _ = reply.send(outcome);
            }
            HubEvent::Known(servers) => self.know(servers),
            HubEvent::Warm { server } => self.route(Event::WarmUp { server: server.into() }),
            HubEvent::Stop { grace, reason } => self.begin_stop(grace, reason),
        }
    }

    fn reply(&mut self, question: Question) {
        match question {
            Question::Status(reply) => {
                // Looking at all processes takes milliseconds: not on this thread.
                let facts = self.facts();
                self.host.tasks.spawn_blocking(move || {
                    let _ = reply.send(facts.document());
                });
            }
            Question::Ps(reply) => {
                let facts = self.facts();
                self.host.tasks.spawn_blocking(move || {
                    let _ = reply.send(facts.ps());
                });
            }
            Question::MakeRoom { build, reply } => {
                let calls = self.router.clients().iter().map(|client| client.in_flight as usize).sum();
                let room = Room::for_build(&build, build::version(), self.stopping.is_some(), calls);
                tracing::info!(build, ?room, "another build wants this daemon's place");
                if room == Room::Made {
                    self.begin_stop(stopping::UPGRADE, ByeReason::Upgrade);
                }
                let _ = reply.send(room);
            }
            Question::Pulse { number, answered } => answered.store(number, Ordering::Relaxed),
            Question::Servers(reply) => {
                let _ = reply.send(crate::status::list(&self.config, &self.facts()));
            }
            Question::Reload(reply) => {
                let (about, hub) = (self.host.about.clone(), self.handle.clone());
                self.host.tasks.spawn_blocking(move || about.config.read_again(&hub, reply));
            }
            Question::Why { server, reply } => {
                let _ = reply.send(self.why(&server));
            }
            Question::RestartServer { server, reply } => {
                let known =
                    self.router.servers(clock::now()).into_iter().find(|known| *known.name == *server);
                let outcome = match known {
                    Some(known) => {
                        self.route(Event::Restart { server: known.name.clone() });
                        Ok(known.instances.len())
                    }
                    None => Err(format!("no server is called \"{server}\"")),
                };
                let _ = reply.send(outcome);
            }
        }
    }

    fn why(&self, server: &str) -> Result<Why, String> {
        let unknown = || format!("no server is called \"{server}\"");
        let mut sentences = self.router.explain_sharing(server).ok_or_else(unknown)?;
        if let Some(at) = self.verdicts.at(server) {
            sentences.push(format!(
                "measured on {at}; forgotten when its command, arguments or environment change"
            ));
        }
        let share = hosting::shares(&self.config).get(server).copied().unwrap_or("shared").to_owned();
        Ok(Why { schema: SCHEMA, server: server.to_owned(), share, sentences })
    }

    /// Tells the router what is configured, and what was measured of it.
    fn configure(&mut self) -> Vec<Policy> {
        let policies = hosting::policies(&self.config);
        self.route(Event::Configured { policies: policies.clone() });
        self.verdicts.keep_only(&policies);
        for policy in &policies {
            if let Some(traits) = self.verdicts.of(policy) {
                self.route(Event::BehaviourKnown { server: policy.name.clone(), behaviour: traits });
            }
        }
        policies
    }

    fn know(&mut self, servers: Vec<Known>) {
        for (server, revision, discovery) in servers {
            self.route(Event::DiscoveryKnown { server, revision, discovery });
        }
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

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::ToClient { client, bytes, about } => self.to_client(client, bytes, about),
            Effect::ToServer { instance, bytes, number } => self.to_server(instance, bytes, number),
            Effect::Dropped { client, id } => {
                if let Some(connected) = self.clients.get(&client) {
                    connected.sink.dropped(&id);
                }
            }
            Effect::Unserved { client, id } => self.unserved_request(client, &id),
            Effect::Start { instance, server, number } => self.start(instance, &server, number),
            Effect::Stop { instance, reason } => self.stop_instance(instance, &reason, self.grace()),
            Effect::Ready { instance } => self.host.watch.initialized(instance),
            Effect::Pinged { instance, sent, answered } => self.host.watch.pinged(instance, sent, answered),
            Effect::DiscoveryChanged { server } => {
                let configured = self.config.servers.get(&server).is_some();
                if let Some(known) = self.router.discovery(&server).filter(|_| configured) {
                    self.store.keep(self.host.home.discovery(&server), move || discovery::file(&known));
                }
            }
            Effect::BehaviourChanged { server } => {
                if let Some(traits) = self.router.observed_behaviour(&server) {
                    self.verdicts.note(&server, &traits);
                    let verdicts = self.verdicts.clone();
                    self.store.keep(self.host.home.verdicts(), move || verdicts.file());
                }
            }
            Effect::Repeatable { client, tools } => {
                let shim = self.clients.get(&client).filter(|client| client.facts.is_shim());
                if shim.is_some_and(|shim| !shim.sink.repeatable(tools)) {
                    self.let_go(client, LetGo::Slow);
                }
            }
            Effect::GiveUp { instance, reason } => self.give_up(instance, reason, self.grace()),
        }
    }

    /// When time must be looked at next, as things are now.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        let clients = self.clients.values().filter_map(|client| client.sink.next_check(now));
        let stopping = self.stopping.is_some().then(|| now + Duration::from_millis(250));
        clients.chain(self.router.next_tick(now)).chain(stopping).min()
    }

    fn tick(&mut self) {
        let now = clock::now();
        let going: Vec<(ClientId, LetGo)> = self
            .clients
            .iter_mut()
            .filter_map(|(&id, client)| client.sink.check(now).map(|why| (id, why)))
            .collect();
        for (client, why) in going {
            self.let_go(client, why);
        }
        self.route(Event::Tick);
    }

    fn stop_if_drained(&mut self) {
        let drained = |stopping: &Stopping| !stopping.is_ending() && stopping.may_end(self.router.is_busy());
        if self.stopping.as_ref().is_some_and(drained) {
            self.stop_all();
        }
    }

    /// Begins to stop, or hurries a stop that is under way.
    fn begin_stop(&mut self, grace: Duration, reason: ByeReason) {
        tracing::info!(clients = self.clients.len(), ?grace, "stopping");
        if let Some(earlier) = &mut self.stopping {
            earlier.hurry(grace, reason);
        } else {
            let holding = if reason == ByeReason::Stop { HashSet::new() } else { self.hold(reason) };
            self.stopping = Some(Stopping::begin(grace, reason, holding));
        }
        self.stop_if_drained();
    }

    /// Asks the shims to keep what their clients say for the next daemon.
    fn hold(&self, reason: ByeReason) -> HashSet<ClientId> {
        let shims = self.clients.iter().filter(|(_, client)| client.facts.is_shim());
        shims.filter(|(_, client)| client.sink.hold(reason)).map(|(&id, _)| id).collect()
    }

    fn stop_all(&mut self) {
        self.stopping.iter_mut().for_each(Stopping::end);
        if let Err(error) = failpoint::reach("daemon.stopping") {
            tracing::warn!(%error, "stopping all the same");
        }
        let ids: Vec<InstanceId> = self.hosted.keys().copied().collect();
        for id in ids {
            self.stop_instance(id, "is not needed: the daemon stops", HURRY);
        }
    }

    fn is_done(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| {
            let ended = self.hosted.values().all(|hosted| matches!(hosted.body, Body::Builtin));
            ended && stopping.may_end(self.router.is_busy())
        })
    }

    fn present(&self) -> Present {
        Present {
            server_crashes: self.restarts.values().map(|&times| u64::from(times)).sum(),
            commands: self.clients.values().filter(|client| !client.facts.shown).count(),
            queued_bytes: self.clients.values().map(|client| client.sink.queued()).sum(),
            unfinished_bytes: self.host.intake.claimed(),
            tasks: self.host.tasks.len(),
            hub_queue: self.handle.waiting(),
        }
    }

    /// What the status document needs, copied: it is put together elsewhere.
    fn facts(&self) -> Facts {
        let instances = self.hosted.iter().map(|(&id, hosted)| {
            let (root_pid, state) = match &hosted.body {
                Body::Running(running) => (Some(running.root_pid()), None),
                Body::Stopping(running) => (Some(running.root_pid()), Some(ServerState::Stopping)),
                Body::Waiting | Body::Spawning => (None, Some(ServerState::Starting)),
                Body::Unwanted => (None, Some(ServerState::Stopping)),
                Body::Builtin => (None, None),
            };
            InstanceFacts {
                id,
                server: hosted.server.clone(),
                number: hosted.number,
                started_at: hosted.started_at,
                restarts: self.restarts.get(&hosted.server).copied().unwrap_or_default(),
                root_pid,
                state,
            }
        });
        Facts {
            daemon: self.host.about.clone(),
            stopping: self.stopping.is_some(),
            clients: self.clients.iter().map(|(&id, client)| (id, client.facts.clone())).collect(),
            session_processes: self
                .clients
                .iter()
                .filter_map(|(&id, client)| Some((id, client.sink.process()?)))
                .collect(),
            router_clients: self.router.clients(),
            servers: self.router.servers(clock::now()),
            shares: hosting::shares(&self.config),
            instances: instances.collect(),
            garbles: self.garbles.iter().map(|(server, garble)| (server.clone(), garble.clone())).collect(),
            counters: self.counters.document(&self.present(), &self.router.counts()),
            watch: self.host.watch.clone(),
        }
    }
}
