//! A daemon: it does with a [`Router`] what `exai-daemon/src/core/hub.rs` does, without processes and sockets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exai_mux::{ClientId, ClientName, Down, Effect, Endpoint, Event, InstanceId, Router};
use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::link::ByeReason;
use exai_proto::{Id, Kind, Message, ParseError, envelope};

use crate::link::{self, Up};
use crate::plan::SERVERS;
use crate::server::Server;
use crate::world::{self, World};

/// How long shims may take to confirm that they hold.
const HOLD: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(250);

pub(crate) struct Daemon {
    pub(crate) life: u32,
    pub(crate) router: Router,
    pub(crate) clients: BTreeMap<ClientId, u64>,
    pub(crate) servers: BTreeMap<InstanceId, Server>,
    pub(crate) pending: VecDeque<Event>,
    stopping: Option<Stopping>,
    due: Option<Duration>,
    next_client: u64,
}

struct Stopping {
    deadline: Duration,
    reason: ByeReason,
    holding: BTreeSet<ClientId>,
    unheard: BTreeSet<ClientId>,
    until: Duration,
    ending: bool,
}

impl World {
    pub(crate) fn daemon_is_born(&mut self) {
        self.birth = false;
        if self.daemon.is_some() || self.now < self.unstartable {
            return;
        }
        self.lives += 1;
        let life = self.lives;
        self.note(|| format!("daemon {life} starts"));
        self.daemon = Some(Daemon {
            life,
            router: Router::new(life),
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            pending: VecDeque::new(),
            stopping: None,
            due: None,
            next_client: 1,
        });
        self.configure();
        for (server, traits) in self.traits.clone() {
            self.route(Event::BehaviourKnown { server: server.into(), behaviour: traits, eras: Vec::new() });
        }
        for (server, (revision, discovery)) in self.known.clone() {
            self.route(Event::DiscoveryKnown { server: server.into(), revision, discovery });
        }
    }

    pub(crate) fn configure(&mut self) {
        self.route(Event::Chosen { choices: vec![("few".into(), self.choice.clone())] });
        self.route(Event::Configured { policies: self.policies.clone() });
    }

    /// Gives the router an event, and carries out the effects.
    pub(crate) fn route(&mut self, event: Event) {
        let Some(daemon) = &mut self.daemon else { return };
        daemon.pending.push_back(event);
        self.run_pending();
    }

    pub(crate) fn run_pending(&mut self) {
        let mut effects = Vec::new();
        loop {
            let now = self.instant();
            let Some(daemon) = &mut self.daemon else { return };
            let Some(event) = daemon.pending.pop_front() else { break };
            daemon.router.handle(event, now, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(effect);
            }
        }
        self.set_clock();
        self.end_if_drained();
    }

    fn carry_out(&mut self, effect: Effect) {
        let Some(daemon) = &mut self.daemon else { return };
        match effect {
            Effect::ToClient { client, bytes, .. } => {
                let bytes = bytes.into_whole();
                self.check_list(client, &bytes);
                self.to_client(client, link::Down::Message(bytes));
            }
            // No simulated daemon drains.
            Effect::Dropped { .. } | Effect::Pinged { .. } | Effect::Unserved { .. } => {}
            Effect::ToServer { instance, bytes, number } => {
                let bytes = bytes.into_whole();
                self.check_call(instance, &bytes);
                self.to_server(instance, bytes, number);
            }
            Effect::Start { instance, server, .. } => {
                if daemon.stopping.as_ref().is_some_and(|stopping| !stopping.starts()) {
                    let why = Down::because("could not be started: the daemon is stopping");
                    return daemon.pending.push_back(Event::Down { instance, why });
                }
                let server = SERVERS.iter().position(|name| **name == *server).unwrap_or_default();
                self.start_server(instance, server);
            }
            Effect::Ready { instance } => daemon.pending.push_back(Event::Ping { instance }),
            Effect::DiscoveryChanged { server, era } => {
                if let Some(known) = daemon.router.discovery(&server, era) {
                    self.known.insert(server.to_string(), known);
                }
            }
            Effect::BehaviourChanged { server } => {
                if let Some((_, traits)) = daemon.router.observed_behaviour(&server) {
                    self.traits.insert(server.to_string(), traits);
                }
            }
            Effect::Repeatable { client, tools } => self.to_client(client, link::Down::Repeatable(tools)),
            Effect::GiveUp { instance, reason } => {
                self.stop_server(instance);
                let why = Down::because(reason);
                self.daemon.iter_mut().for_each(|daemon| {
                    daemon.pending.push_back(Event::Down { instance, why: why.clone() });
                });
            }
            Effect::Stop { instance, .. } => self.stop_server(instance),
        }
    }

    fn to_client(&mut self, client: ClientId, frame: link::Down) {
        let Some(id) = self.daemon.as_ref().and_then(|daemon| daemon.clients.get(&client).copied()) else {
            return;
        };
        let delay = self.random.micros(500);
        let Some(link) = self.links.get_mut(&id) else { return };
        match frame {
            frame @ (link::Down::Repeatable(_) | link::Down::Hold) => link.controls.push(frame),
            frame @ (link::Down::Message(_) | link::Down::Bye(_) | link::Down::End) => {
                link.outbox.push(frame);
            }
        }
        if !std::mem::replace(&mut link.flushing, true) {
            self.after(delay, world::Event::Flush(id));
        }
    }

    /// Writes all messages that wait for a link. Control messages go first.
    pub(crate) fn daemon_writes(&mut self, id: u64) {
        let life = self.daemon.as_ref().map(|daemon| daemon.life);
        if self.now < self.frozen {
            return self.at(self.frozen, world::Event::Flush(id));
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        link.flushing = false;
        let mut frames = std::mem::take(&mut link.controls);
        frames.append(&mut link.outbox);
        for frame in frames {
            let delay = self.random.micros(2_000);
            let Some(link) = self.links.get_mut(&id) else { return };
            if link.broken {
                return;
            }
            // A daemon that is already gone can still write its farewell, but nothing else.
            let lives = life == Some(link.life) || matches!(frame, link::Down::Bye(_) | link::Down::End);
            if !lives || !link.down.takes(frame.bytes()) {
                let lose = link.lose;
                return self.break_link(id, lose);
            }
            link.down.last = link.down.last.max(self.now + delay);
            link.down.frames.push_back(frame);
            let when = link.down.last;
            self.at(when, world::Event::Down(id));
        }
    }

    /// A shim has connected. Returns the client's id in the daemon.
    pub(crate) fn accept(&mut self, link: u64, shim: usize) -> Option<ClientId> {
        let daemon = self.daemon.as_mut()?;
        let client = ClientId(daemon.next_client);
        daemon.next_client += 1;
        daemon.clients.insert(client, link);
        if daemon.stopping.is_none() {
            let client_of_shim = &self.shims[shim].client;
            let label = client_of_shim.is_few().then(|| ClientName::Label("few".into()));
            let name = label.unwrap_or(ClientName::Program);
            let endpoint = client_of_shim.own.map_or(Endpoint::All, |own| Endpoint::One(SERVERS[own].into()));
            self.route(Event::Opened { client, endpoint, name, directory: None, stateless: false });
        }
        Some(client)
    }

    /// The first words of the daemon on a link, which are a farewell if the daemon is about to end.
    pub(crate) fn greet(&mut self, id: u64) {
        let client = self.links[&id].client;
        let reason = self.daemon.as_ref().and_then(|daemon| Some(daemon.stopping.as_ref()?.reason));
        if let Some(reason) = reason {
            self.to_client(client, link::Down::Bye(reason));
            self.to_client(client, link::Down::End);
            self.daemon.iter_mut().for_each(|daemon| {
                daemon.clients.remove(&client);
            });
        }
    }

    pub(crate) fn daemon_reads(&mut self, id: u64) {
        let life = self.daemon.as_ref().map(|daemon| daemon.life);
        let Some(link) = self.links.get_mut(&id) else { return };
        if self.now < self.frozen && life == Some(link.life) {
            return self.at(self.frozen, world::Event::Up(id));
        }
        let (client, frame) = (link.client, link.up.frames.pop_front());
        if life != Some(link.life) {
            return;
        }
        match frame {
            None => {}
            Some(Up::Line(bytes)) => match Message::parse(bytes.clone()) {
                Ok(message) => self.said(client, message),
                Err(ParseError::Batch) => {
                    let parts = envelope::split_batch(&bytes).unwrap_or_default();
                    for message in parts.into_iter().filter_map(|part| Message::parse(part).ok()) {
                        self.said(client, message);
                    }
                }
                Err(error) => self.fail(format!("a shim has written what is no message: {error}")),
            },
            Some(Up::Held) => {
                let stopping = self.daemon.as_mut().and_then(|daemon| daemon.stopping.as_mut());
                if let Some(stopping) = stopping {
                    stopping.unheard.remove(&client);
                }
                self.end_if_drained();
            }
            Some(Up::End) => self.let_go(client),
        }
    }

    fn said(&mut self, client: ClientId, message: Message) {
        let Some(daemon) = &self.daemon else { return };
        if !daemon.clients.contains_key(&client) {
            return;
        }
        let refuses = daemon.stopping.as_ref().is_some_and(|stopping| !stopping.serves(client));
        if let (true, Kind::Request { id, .. }) = (refuses, message.kind()) {
            let data = FailureData::new(Source::Daemon, Failure::DaemonUnavailable);
            let id = Id::from_json(message.at(id));
            let bytes: Bytes = answer::failure(&id, "the daemon is stopping", &data);
            return self.to_client(client, link::Down::Message(bytes));
        }
        self.route(Event::FromClient { client, message });
    }

    fn let_go(&mut self, client: ClientId) {
        let Some(daemon) = &mut self.daemon else { return };
        if daemon.clients.remove(&client).is_some() {
            if let Some(stopping) = &mut daemon.stopping {
                stopping.unheard.remove(&client);
            }
            self.route(Event::Closed { client });
        }
    }

    /// Schedules the next tick. A tick that is scheduled sooner stays as it is.
    fn set_clock(&mut self) {
        let now = self.instant();
        let Some(daemon) = &mut self.daemon else { return };
        let set = daemon.due;
        let due = daemon.router.next_tick(now);
        let own = daemon.stopping.is_some().then(|| self.now + TICK);
        let life = daemon.life;
        let due = due.map(|due| self.since_base(due)).into_iter().chain(own).min();
        if let Some(due) = due.filter(|due| set.is_none_or(|set| *due < set)) {
            self.daemon.iter_mut().for_each(|daemon| daemon.due = Some(due));
            self.at(due, world::Event::Tick(life));
        }
    }

    pub(crate) fn tick(&mut self, life: u32) {
        if self.now < self.frozen {
            return self.at(self.frozen, world::Event::Tick(life));
        }
        let Some(daemon) = self.daemon.as_mut().filter(|daemon| daemon.life == life) else { return };
        daemon.due = None;
        self.route(Event::Tick);
    }

    pub(crate) fn end_daemon(&mut self, grace: Duration, stop: bool) {
        let now = self.now;
        let Some(daemon) = &mut self.daemon else { return };
        let reason = if stop { ByeReason::Stop } else { ByeReason::Restart };
        if let Some(earlier) = &mut daemon.stopping {
            earlier.deadline = earlier.deadline.min(now + grace);
            earlier.reason = reason;
            return self.end_if_drained();
        }
        let holding: BTreeSet<ClientId> =
            if stop { BTreeSet::new() } else { daemon.clients.keys().copied().collect() };
        let (unheard, until, deadline) = (holding.clone(), now + HOLD, now + grace);
        daemon.stopping =
            Some(Stopping { deadline, reason, holding: holding.clone(), unheard, until, ending: false });
        for client in holding {
            self.to_client(client, link::Down::Hold);
        }
        self.set_clock();
        self.end_if_drained();
    }

    /// Ends a stopping daemon that has nothing left to do, or whose time is up.
    fn end_if_drained(&mut self) {
        let now = self.now;
        let Some(daemon) = &mut self.daemon else { return };
        let busy = daemon.router.is_busy();
        let Some(stopping) = daemon.stopping.as_mut().filter(|stopping| stopping.may_end(busy, now)) else {
            return;
        };
        if !std::mem::replace(&mut stopping.ending, true) {
            let all: Vec<InstanceId> = daemon.servers.keys().copied().collect();
            for instance in all {
                self.stop_server(instance);
            }
        }
        let Some(daemon) = &self.daemon else { return };
        let Some(stopping) = daemon.stopping.as_ref().filter(|_| daemon.servers.is_empty()) else { return };
        let reason = stopping.reason;
        let clients: Vec<ClientId> = daemon.clients.keys().copied().collect();
        for client in clients {
            self.to_client(client, link::Down::Bye(reason));
            self.to_client(client, link::Down::End);
        }
        self.note(|| "the daemon ends".to_owned());
        self.daemon = None;
    }

    pub(crate) fn kill_daemon(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        self.frozen = self.now;
        for server in std::mem::take(&mut daemon.servers).into_values() {
            // A server may still read the messages that were written to it.
            if self.random.percent(50) {
                self.read_the_rest(server);
            }
        }
        for id in daemon.clients.into_values() {
            let lose = self.random.percent(50);
            if let Some(link) = self.links.get_mut(&id) {
                (link.controls, link.outbox) = Default::default();
            }
            self.break_link(id, lose);
        }
    }

    pub(crate) fn freeze(&mut self, duration: Duration) {
        if self.daemon.is_some() {
            self.frozen = self.frozen.max(self.now + duration);
            self.excused += duration;
            self.watch_silence();
        }
    }

    pub(crate) fn restart_server(&mut self, server: usize) {
        let server: Arc<str> = SERVERS[server].into();
        self.route(Event::Restart { server });
    }
}

impl Daemon {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }
}

impl Stopping {
    fn serves(&self, client: ClientId) -> bool {
        self.starts() && self.holding.contains(&client)
    }

    fn starts(&self) -> bool {
        !self.ending && !self.holding.is_empty()
    }

    fn may_end(&self, busy: bool, now: Duration) -> bool {
        self.deadline <= now || !busy && (self.unheard.is_empty() || self.until <= now)
    }
}
