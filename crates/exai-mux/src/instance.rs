//! What the router knows of one run of a server.

pub(crate) mod fair_queue;
pub(crate) mod request;
pub(crate) mod start_queue;
pub(crate) mod subscribers;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_proto::Id;

use crate::instance::fair_queue::Lanes;
use crate::instance::request::{Errand, InFlight, Owner};
use crate::instance::start_queue::Waiting;
use crate::instance::subscribers::with_parents;
use crate::types::ids::ClientId;
use crate::types::initialize_result::{Offer, Ready};
use crate::types::list_kind::Kind;
use crate::types::log_level::Level;
use crate::types::policy::{Policy, ShareKey};

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) server: Arc<str>,
    pub(crate) number: u32,
    pub(crate) key: ShareKey,
    /// Of the server's policy: needed for every request.
    pub(crate) call_timeout: Duration,
    pub(crate) phase: Phase,
    pub(crate) clients: Vec<ClientId>,
    /// What it gets next.
    pub(crate) lanes: Lanes,
    /// Requests the server has not answered, by minted id.
    pub(crate) in_flight: HashMap<u64, InFlight>,
    next_id: u64,
    /// Since when no client uses it.
    pub(crate) idle_since: Option<Instant>,
    pub(crate) level: Option<Level>,
    /// Who listens to which resource.
    pub(crate) subscribers: HashMap<String, Vec<ClientId>>,
    /// When it had answered `initialize`; taken when its silence was noted.
    pub(crate) ready_since: Option<Instant>,
    /// It was taken out of use: see `handlers::retiring`.
    pub(crate) retiring: bool,
    /// Whether it has answered a client.
    pub(crate) served: bool,
    /// Whether it has answered what nobody asked. Said once: it may do it for ever.
    pub(crate) said_stray: bool,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// The process is being started, or `initialize` is under way.
    Starting { deadline: Instant, waiting: VecDeque<Waiting> },
    /// Serving.
    Ready(Ready),
}

/// How far a run had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// It never answered `initialize`.
    Unready,
    /// It did, and no client.
    Ready,
    /// It has answered a client.
    Served,
}

impl Instance {
    /// An instance that is being started, without clients yet.
    pub(crate) fn new(policy: &Policy, number: u32, key: ShareKey, time: Instant) -> Self {
        Instance {
            server: policy.name.clone(),
            number,
            key,
            call_timeout: policy.call_timeout,
            phase: Phase::Starting { deadline: time + policy.start_timeout, waiting: VecDeque::new() },
            clients: Vec::new(),
            lanes: Lanes::default(),
            in_flight: HashMap::new(),
            next_id: 1,
            idle_since: Some(time),
            level: None,
            subscribers: HashMap::new(),
            ready_since: None,
            retiring: false,
            served: false,
            said_stray: false,
        }
    }

    /// Takes a request that is over.
    pub(crate) fn take(&mut self, number: u64) -> Option<InFlight> {
        let request = self.in_flight.remove(&number)?;
        if let Some(client) = request.lane {
            self.lanes.finished(client);
        }
        Some(request)
    }

    pub(crate) fn mint(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// How many requests it has not been given yet.
    pub(crate) fn waiting(&self) -> usize {
        match &self.phase {
            Phase::Starting { waiting, .. } => waiting.len(),
            Phase::Ready(_) => self.lanes.len(),
        }
    }

    /// How far it has come.
    pub(crate) fn run(&self) -> Run {
        match self.phase {
            Phase::Starting { .. } => Run::Unready,
            Phase::Ready(_) if self.served => Run::Served,
            Phase::Ready(_) => Run::Ready,
        }
    }

    pub(crate) fn ready(&self) -> Option<&Ready> {
        match &self.phase {
            Phase::Starting { .. } => None,
            Phase::Ready(ready) => Some(ready),
        }
    }

    /// What a ready server offers of this kind.
    pub(crate) fn offer(&self, kind: Kind) -> Offer {
        self.ready().map_or(Offer::Nothing, |ready| ready.offer(kind))
    }

    /// Whether the server is being asked for this list.
    pub(crate) fn is_listing(&self, kind: Kind) -> bool {
        self.ready().is_some() && self.asked_for(kind).is_some()
    }

    /// When it was asked for a list that has not come; or was to be asked, as soon as it is ready.
    pub(crate) fn asked_for(&self, kind: Kind) -> Option<Instant> {
        match &self.phase {
            Phase::Starting { waiting, .. } => waiting.iter().find_map(|waiting| match waiting {
                Waiting::List(other, asked) if *other == kind => Some(*asked),
                Waiting::List(..) | Waiting::Initialize { .. } | Waiting::Message(_) => None,
            }),
            Phase::Ready(_) => self.in_flight.values().find_map(|request| match &request.owner {
                Owner::Router(Errand::List { kind: other, asked, .. }) if *other == kind => Some(*asked),
                Owner::Router(_) | Owner::Client { .. } => None,
            }),
        }
    }

    /// Who has subscribed to a resource, or to one that it is a part of.
    pub(crate) fn listeners(&self, uri: &str) -> Vec<ClientId> {
        if self.subscribers.is_empty() {
            return Vec::new();
        }
        let known = with_parents(uri).filter_map(|uri| self.subscribers.get(uri));
        let mut told = HashSet::new();
        known.flatten().filter(|client| told.insert(**client)).copied().collect()
    }

    pub(crate) fn label(&self) -> String {
        format!("{}#{}", self.server, self.number)
    }

    /// The client a request of the server must be meant for: the only one it works for, or if it works for none the
    /// only one there is; and the request, if there is one only. A request that was cancelled counts: the server may
    /// not have heard of that yet. Otherwise nobody can know, and it is never guessed.
    pub(crate) fn sole_client(&self) -> Option<(ClientId, Option<Id>)> {
        let mut lanes = self.in_flight.values().filter_map(|request| Some((request.lane?, request)));
        let Some((sole, first)) = lanes.next() else {
            return match &self.clients[..] {
                [only] => Some((*only, None)),
                _ => None,
            };
        };
        let mut id = first.wanted_by().cloned();
        for (client, _) in lanes {
            if client != sole {
                return None;
            }
            id = None;
        }
        // Who has left, or has cancelled all it wanted, is not asked.
        let waits = |request: &InFlight| request.lane == Some(sole) && request.wanted_by().is_some();
        self.in_flight.values().any(waits).then_some((sole, id))
    }

    /// The only request that the server has not answered, if there is one: an answer that does not say whose it is can
    /// be for no other.
    pub(crate) fn sole_request(&self) -> Option<u64> {
        let mut numbers = self.in_flight.keys();
        numbers.next().copied().filter(|_| numbers.next().is_none())
    }
}
