//! What the router knows of one run of a server.

pub(crate) mod fair_queue;
pub(crate) mod in_flight_requests;
pub(crate) mod request;
pub(crate) mod start_queue;
pub(crate) mod subscribers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_proto::Id;

use crate::instance::fair_queue::FairQueue;
use crate::instance::in_flight_requests::{InFlightRequests, WorksFor};
use crate::instance::request::{InFlightRequest, Owner};
use crate::instance::start_queue::StartQueue;
use crate::instance::subscribers::Subscribers;
use crate::types::ids::ClientId;
use crate::types::initialize_result::{InitializeResult, Offer};
use crate::types::list_kind::ListKind;
use crate::types::log_level::LogLevel;
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
    pub(crate) fair_queue: FairQueue,
    /// What it has got and not answered.
    pub(crate) in_flight: InFlightRequests,
    /// Since when no client uses it.
    pub(crate) idle_since: Option<Instant>,
    pub(crate) level: Option<LogLevel>,
    /// Who listens to which resource.
    pub(crate) subscribers: Subscribers,
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
    Starting { deadline: Instant, waiting: StartQueue },
    /// Serving.
    Ready(InitializeResult),
}

/// How far a run had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunProgress {
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
            phase: Phase::Starting { deadline: time + policy.start_timeout, waiting: StartQueue::default() },
            clients: Vec::new(),
            fair_queue: FairQueue::default(),
            in_flight: InFlightRequests::default(),
            idle_since: Some(time),
            level: None,
            subscribers: Subscribers::default(),
            ready_since: None,
            retiring: false,
            served: false,
            said_stray: false,
        }
    }

    /// Makes a client a user of the instance. Returns whether it was none before.
    pub(crate) fn add_client(&mut self, client: ClientId) -> bool {
        if self.clients.contains(&client) {
            return false;
        }
        self.clients.push(client);
        self.idle_since = None;
        true
    }

    pub(crate) fn remove_client(&mut self, client: ClientId, time: Instant) {
        self.clients.retain(|other| *other != client);
        if self.clients.is_empty() {
            self.idle_since = Some(time);
        }
    }

    /// Registers a request that the server is about to get, until these times.
    pub(crate) fn register_request(&mut self, number: u64, owner: Owner, deadline: Instant, limit: Instant) {
        let charged_client = match &owner {
            Owner::Client { client, .. } => Some(*client),
            Owner::Router(_) => None,
        };
        if let Some(client) = charged_client {
            self.fair_queue.begin_request(client);
        }
        self.in_flight.insert(number, InFlightRequest { owner, charged_client, deadline, limit });
    }

    /// Takes a request that is over.
    pub(crate) fn take_request(&mut self, number: u64) -> Option<InFlightRequest> {
        let request = self.in_flight.remove(number)?;
        if let Some(client) = request.charged_client {
            self.fair_queue.finish_request(client);
        }
        Some(request)
    }

    /// How many requests it has not been given yet.
    pub(crate) fn waiting(&self) -> usize {
        match &self.phase {
            Phase::Starting { waiting, .. } => waiting.len(),
            Phase::Ready(_) => self.fair_queue.len(),
        }
    }

    /// How far it has come.
    pub(crate) fn run_progress(&self) -> RunProgress {
        match self.phase {
            Phase::Starting { .. } => RunProgress::Unready,
            Phase::Ready(_) if self.served => RunProgress::Served,
            Phase::Ready(_) => RunProgress::Ready,
        }
    }

    pub(crate) fn ready(&self) -> Option<&InitializeResult> {
        match &self.phase {
            Phase::Starting { .. } => None,
            Phase::Ready(ready) => Some(ready),
        }
    }

    /// What a ready server offers of this kind.
    pub(crate) fn offer(&self, kind: ListKind) -> Offer {
        self.ready().map_or(Offer::Nothing, |ready| ready.offer(kind))
    }

    /// Whether the server is being asked for this list.
    pub(crate) fn is_listing(&self, kind: ListKind) -> bool {
        self.ready().is_some() && self.asked_for(kind).is_some()
    }

    /// When it was asked for a list that has not come; or was to be asked, as soon as it is ready.
    pub(crate) fn asked_for(&self, kind: ListKind) -> Option<Instant> {
        match &self.phase {
            Phase::Starting { waiting, .. } => waiting.list_since(kind),
            Phase::Ready(_) => self.in_flight.list_since(kind),
        }
    }

    pub(crate) fn label(&self) -> String {
        format!("{}#{}", self.server, self.number)
    }

    /// The client a request of the server must be meant for: the only one it works for, or if it works for none the
    /// only one there is; and the request, if there is one only. A request that was cancelled counts: the server may
    /// not have heard of that yet. Otherwise nobody can know, and it is never guessed.
    pub(crate) fn sole_client(&self) -> Option<(ClientId, Option<Id>)> {
        match (self.in_flight.works_for(), &self.clients[..]) {
            (WorksFor::One(client, id), _) => Some((client, id)),
            (WorksFor::None, [only]) => Some((*only, None)),
            (WorksFor::None | WorksFor::Unclear, _) => None,
        }
    }
}
