//! The router's state and its one entrance.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::{Id, Message, Segments};

use crate::catalogue::{Catalogue, Gathering};
use crate::client::Client;
use crate::event::{About, ClientId, Down, Effect, Endpoint, Event, InstanceId};
use crate::health::{Health, State};
use crate::instance::{InFlight, Instance, Owner, Phase, Ready, Waiting};
use crate::limits::{CALL_TOTAL_TIMEOUT, TICK_INTERVAL};
use crate::listing::Listing;
use crate::news::{Changes, News};
use crate::policy::{Policy, ShareKey};
use crate::traits::{Measured, Traits};

/// The routing core. See the crate's documentation.
#[derive(Debug)]
pub struct Router {
    /// The number of the next question to a client. One counter for all clients and for the router's whole life: a
    /// client that has linked anew may still answer what it was asked over an earlier link, and that answer must not
    /// be taken for one to a later question.
    next_ask: u64,
    pub(crate) servers: Vec<Server>,
    pub(crate) clients: HashMap<ClientId, Client>,
    pub(crate) instances: HashMap<InstanceId, Instance>,
    pub(crate) shared: HashMap<(Arc<str>, ShareKey), InstanceId>,
    pub(crate) gatherings: Vec<Gathering>,
    pub(crate) news: News,
    pub(crate) next_instance: u64,
}

/// A configured server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) policy: Policy,
    pub(crate) catalogue: Catalogue,
    pub(crate) health: Health,
    pub(crate) listing: Listing,
    pub(crate) changes: Changes,
    pub(crate) next_number: u32,
    /// What it answered to `initialize` the last time.
    pub(crate) said: Option<Ready>,
    /// What it was seen to do.
    pub(crate) measured: Measured,
    /// Clients that had subscribed to resources of a run that ended: it is started for them again, and they are told
    /// that they may have missed something.
    pub(crate) interrupted: BTreeSet<ClientId>,
    /// Its tools that may be called twice, by its own word.
    pub(crate) repeatable: BTreeSet<String>,
}

/// What one event is worked on with.
pub(crate) struct Now<'a> {
    pub(crate) time: Instant,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Now<'_> {
    pub(crate) fn to_client(&mut self, client: ClientId, bytes: impl Into<Segments>, about: About) {
        let bytes = bytes.into();
        self.effects.push(Effect::ToClient { client, bytes, about });
    }

    pub(crate) fn answer(&mut self, client: ClientId, id: Id, bytes: impl Into<Segments>) {
        self.to_client(client, bytes, About::Answer(id));
    }

    pub(crate) fn to_server(&mut self, instance: InstanceId, bytes: impl Into<Segments>) {
        let bytes = bytes.into();
        self.effects.push(Effect::ToServer { instance, bytes, number: None });
    }

    pub(crate) fn dropped(&mut self, client: ClientId, id: Id) {
        self.effects.push(Effect::Dropped { client, id });
    }

    /// Answers a client with an error of JSON-RPC's own.
    pub(crate) fn refuse(&mut self, client: ClientId, id: &Id, code: i32, message: &str) {
        self.answer(client, id.clone(), answer::error(id, code, message));
    }

    /// Answers a client with an error of exai's own.
    pub(crate) fn fail(&mut self, client: ClientId, id: &Id, message: &str, data: &FailureData<'_>) {
        self.answer(client, id.clone(), answer::failure(id, message, data));
    }
}

impl Router {
    /// A router without servers or clients. `epoch` is another for each daemon: a client that goes on with the next
    /// daemon may still answer what the last daemon asked, and that must not be taken for an answer to anything else.
    pub fn new(epoch: u32) -> Self {
        Router {
            // Below 2^53, so that a client that keeps numbers as doubles returns the same one.
            next_ask: (u64::from(epoch) << 20) | 1,
            servers: Vec::new(),
            clients: HashMap::new(),
            instances: HashMap::new(),
            shared: HashMap::new(),
            gatherings: Vec::new(),
            news: News::default(),
            next_instance: 0,
        }
    }

    /// Works on one event. What is to be done is appended to `effects`, in the order it must be done.
    pub fn handle(&mut self, event: Event, time: Instant, effects: &mut Vec<Effect>) {
        let now = &mut Now { time, effects };
        match event {
            Event::FromClient { client, message } => self.from_client(client, message, now),
            Event::Late { client, message } => self.late(client, message, now),
            Event::FromServer { instance, message } => self.from_server(instance, &message, now),
            Event::Garbled { instance, garbled } => self.garbled(instance, &garbled, now),
            Event::Opened { client, endpoint } => {
                self.clients.insert(client, Client::new(endpoint));
            }
            Event::Traits { server, traits } => {
                if let Some(server) = self.server_mut(&server) {
                    server.measured.remember(traits);
                }
            }
            Event::Known { server, revision, discovery } => self.known(&server, revision, discovery),
            Event::Closed { client } => self.closed(client, now),
            Event::Up { instance } => self.up(instance, now),
            Event::Down { instance, why } => self.down(instance, &why, now),
            Event::Unsent { instance, number, why } => self.unsent(instance, number, why, now),
            Event::Configured { policies } => self.configured(policies, now),
            Event::Ping { instance } => self.ping(instance, now),
            Event::Restart { server } => self.restart(&server, now),
            Event::Warm { server } => self.warm(&server, now),
            Event::Tick => self.tick(now),
        }
    }

    /// When the next [`Event::Tick`] is due, or `None` while nothing has a deadline. What happens may change that.
    pub fn next_tick(&self, time: Instant) -> Option<Instant> {
        // A gathering ends when the last of what it waits for is given up.
        let gatherings = self.gatherings.iter().filter_map(Gathering::deadline);
        let instances = self.instances.values().filter_map(|instance| self.next_look(instance, time));
        let waited_for = self.servers.iter().filter(|server| self.is_wanted(server));
        let tries = waited_for.filter_map(|server| match server.health.state() {
            // Nothing stands in the way of those who were served before; an eager server may find no place.
            State::Well if !server.interrupted.is_empty() => Some(time),
            State::Well => Some(time + TICK_INTERVAL),
            State::Resting { until, .. } => Some(*until),
            State::Failed { .. } => None,
        });
        // Who waits for news of lists is told in time as well.
        let news = self.servers.iter().filter_map(|server| server.changes.due()).chain(self.news.due());
        gatherings.chain(instances).chain(tries).chain(news).min().map(|at| at.max(time))
    }

    /// When an instance must be looked at next.
    fn next_look(&self, instance: &Instance, time: Instant) -> Option<Instant> {
        if let Phase::Starting { deadline, .. } = instance.phase {
            return Some(deadline);
        }
        let answers = instance.in_flight.values().map(|request| request.deadline).min();
        // The end of what one works on that was taken out of use is not always an event.
        let retiring = instance.retiring.then(|| time + TICK_INTERVAL);
        [answers, instance.lanes.next_expiry(), self.idle_end(instance), retiring].into_iter().flatten().min()
    }

    /// What was measured about a server, with the revision of its policy that it was seen under.
    pub fn traits(&self, server: &str) -> Option<(u64, Traits)> {
        let server = self.server(server)?;
        Some((server.policy.revision, server.measured.traits().clone()))
    }

    /// Whether a request of any client is under way.
    pub fn is_busy(&self) -> bool {
        // What gathers lists is counted there, too; `initialize` that waits is not.
        let asks = |instance: &Instance| match &instance.phase {
            Phase::Starting { waiting, .. } => {
                waiting.iter().any(|waiting| matches!(waiting, Waiting::Initialize { .. }))
            }
            Phase::Ready(_) => false,
        };
        self.clients.values().any(|client| client.in_flight > 0) || self.instances.values().any(asks)
    }

    /// The number of a question that no other question of this router has or will have.
    pub(crate) fn mint_ask(&mut self) -> u64 {
        let number = self.next_ask;
        self.next_ask += 1;
        number
    }

    pub(crate) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| &*server.policy.name == name)
    }

    pub(crate) fn server_mut(&mut self, name: &str) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| &*server.policy.name == name)
    }

    /// Writes a request to an instance under a number of its own.
    pub(crate) fn send_request<S: Into<Segments>>(
        &mut self,
        instance_id: InstanceId,
        owner: Owner,
        write: impl FnOnce(u64) -> S,
        now: &mut Now<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let number = instance.mint();
        let limit = now.time + CALL_TOTAL_TIMEOUT;
        let lane = match &owner {
            Owner::Client { client, .. } => Some(*client),
            Owner::Router(_) => None,
        };
        if let Some(client) = lane {
            instance.lanes.opened(client);
        }
        let request = InFlight { owner, lane, deadline: limit.min(now.time + instance.call_timeout), limit };
        // Registered before it is written: a fast answer must find it.
        instance.in_flight.insert(number, request);
        now.effects.push(Effect::ToServer {
            instance: instance_id,
            bytes: write(number).into(),
            number: Some(number),
        });
    }

    /// The clients whose notifications an instance feeds: those attached to it.
    pub(crate) fn tell_attached(&self, instance: InstanceId, bytes: &Bytes, now: &mut Now<'_>) {
        if let Some(instance) = self.instances.get(&instance) {
            for &client in &instance.clients {
                now.to_client(client, bytes.clone(), About::Session);
            }
        }
    }

    /// Everybody, oldest first.
    pub(crate) fn all_clients(&self) -> Vec<ClientId> {
        let mut all: Vec<ClientId> = self.clients.keys().copied().collect();
        all.sort();
        all
    }

    /// Clients of the aggregated endpoint that have introduced themselves.
    pub(crate) fn aggregating(&self) -> Vec<ClientId> {
        let mut found: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|(_, client)| client.endpoint == Endpoint::All && client.introduction().is_some())
            .map(|(&id, _)| id)
            .collect();
        found.sort();
        found
    }

    /// -31006 for a server that is not configured.
    pub(crate) fn unknown_server(&self, client: ClientId, id: &Id, name: &str, now: &mut Now<'_>) {
        let known: Vec<&str> = self.servers.iter().map(|server| &*server.policy.name).collect();
        let message = format!("no server is called \"{name}\"; configured are: {}", known.join(", "));
        let data = FailureData {
            server: Some(name),
            hint: Some("exai add NAME -- COMMAND"),
            ..FailureData::new(Source::Daemon, Failure::ServerUnavailable)
        };
        now.fail(client, id, &message, &data);
    }

    pub(crate) fn unavailable(client: ClientId, id: &Id, server: &str, why: &Down, now: &mut Now<'_>) {
        let hint = why.command(server);
        let data = FailureData {
            server: Some(server),
            hint: hint.as_deref(),
            stderr_tail: Some(&*why.stderr_tail).filter(|tail| !tail.is_empty()),
            ..FailureData::new(Source::Daemon, Failure::ServerUnavailable)
        };
        now.fail(client, id, &format!("server \"{server}\" is not available: it {}", why.reason), &data);
    }

    pub(crate) fn overloaded(client: ClientId, id: &Id, server: Option<&str>, what: &str, now: &mut Now<'_>) {
        let data = FailureData { server, ..FailureData::new(Source::Daemon, Failure::Overloaded) };
        now.fail(client, id, &format!("overloaded: {what}; nothing was sent"), &data);
    }
}

/// The edits that put a minted number in the place of a client's id and progress token.
pub(crate) fn with_number(
    message: &Message,
    id: &std::ops::Range<usize>,
    token: Option<&std::ops::Range<usize>>,
    number: u64,
    more: Vec<exai_proto::json::Edit>,
) -> Segments {
    let digits = number.to_string().into_bytes();
    let mut edits = more;
    if let Some(token) = token {
        edits.push(exai_proto::json::Edit { at: token.clone(), with: digits.clone() });
    }
    edits.push(exai_proto::json::Edit { at: id.clone(), with: digits });
    message.edited(edits)
}
