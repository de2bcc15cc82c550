//! What the router knows of one run of a server.

pub(crate) mod fair_queue;
pub(crate) mod in_flight_requests;
pub(crate) mod request;
pub(crate) mod start_queue;
pub(crate) mod subscribers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::instance::fair_queue::FairQueue;
use crate::instance::in_flight_requests::InFlightRequests;
use crate::instance::request::{InFlightRequest, Owner};
use crate::instance::start_queue::StartQueue;
use crate::instance::subscribers::Subscribers;
use crate::types::ids::{CallId, ClientId};
use crate::types::initialize_result::{InitializeResult, Offer};
use crate::types::list_kind::ListKind;
use crate::types::log_level::LogLevel;
use crate::types::policy::{Policy, ShareKey};

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) server: Arc<str>,
    pub(crate) number: u32,
    pub(crate) key: ShareKey,
    /// The `call_timeout` of the policy of the server. Every request needs it.
    pub(crate) call_timeout: Duration,
    pub(crate) phase: Phase,
    pub(crate) clients: Vec<ClientId>,
    /// The requests that wait for their turn.
    pub(crate) fair_queue: FairQueue,
    /// The requests that the server has got and not answered.
    pub(crate) in_flight: InFlightRequests,
    /// Since when no client has used the instance.
    pub(crate) idle_since: Option<Instant>,
    pub(crate) level: Option<LogLevel>,
    /// The clients that have subscribed to resources.
    pub(crate) subscribers: Subscribers,
    /// When the server answered `initialize`. `None` once its silence was noted.
    pub(crate) ready_since: Option<Instant>,
    /// The instance gets no new requests: see `handlers::retiring`.
    pub(crate) retiring: bool,
    /// Whether the server has answered a client.
    pub(crate) served: bool,
    /// Whether the server has sent an answer to no request. This is logged once: a server may go on for ever.
    pub(crate) said_stray: bool,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// The process is being started, or `initialize` is under way.
    Starting { deadline: Instant, waiting: StartQueue },
    /// The server has answered `initialize`.
    Ready(InitializeResult),
}

/// How far an instance had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunProgress {
    /// The server never answered `initialize`.
    Unready,
    /// The server answered `initialize`, and no client.
    Ready,
    /// The server answered a client.
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

    /// Registers a request that the server is about to get. Without progress the request is given up at `deadline`,
    /// in any case at `limit`.
    pub(crate) fn register_request(&mut self, number: u64, owner: Owner, deadline: Instant, limit: Instant) {
        let charged_client = match owner {
            Owner::Call(call) => Some(call.client),
            Owner::Router(_) => None,
        };
        if let Some(client) = charged_client {
            self.fair_queue.begin_request(client);
        }
        self.in_flight.insert(number, InFlightRequest { owner, charged_client, deadline, limit });
    }

    /// Takes out a call that waits for the start of the instance, or for its turn.
    pub(crate) fn remove_queued_call(&mut self, call: CallId) {
        let is_starting = match &mut self.phase {
            Phase::Starting { waiting, .. } => waiting.remove_call(call),
            Phase::Ready(_) => false,
        };
        if !is_starting {
            self.fair_queue.remove_call(call);
        }
    }

    /// Takes a request that is over, and gives its place to the next.
    pub(crate) fn take_request(&mut self, number: u64) -> Option<InFlightRequest> {
        let request = self.in_flight.remove(number)?;
        if let Some(client) = request.charged_client {
            self.fair_queue.finish_request(client);
        }
        Some(request)
    }

    /// How many requests wait for the start of the instance, or for their turn.
    pub(crate) fn waiting(&self) -> usize {
        match &self.phase {
            Phase::Starting { waiting, .. } => waiting.len(),
            Phase::Ready(_) => self.fair_queue.len(),
        }
    }

    /// How far the instance has come.
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

    /// Which list of this kind the server offers. [`Offer::Nothing`] before the server is ready.
    pub(crate) fn offer(&self, kind: ListKind) -> Offer {
        self.ready().map_or(Offer::Nothing, |ready| ready.offer(kind))
    }

    /// Whether the server has been asked for this list and has not answered.
    pub(crate) fn is_listing(&self, kind: ListKind) -> bool {
        self.ready().is_some() && self.asked_for(kind).is_some()
    }

    /// When the server was asked for a list that has not come. Before the server is ready: since when the list has
    /// waited to be asked for.
    pub(crate) fn asked_for(&self, kind: ListKind) -> Option<Instant> {
        match &self.phase {
            Phase::Starting { waiting, .. } => waiting.list_since(kind),
            Phase::Ready(_) => self.in_flight.list_since(kind),
        }
    }

    pub(crate) fn label(&self) -> String {
        format!("{}#{}", self.server, self.number)
    }
}
