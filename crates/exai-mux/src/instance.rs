//! What the router knows of one run of a server.

pub(crate) mod fair_queue;
pub(crate) mod in_flight_requests;
pub(crate) mod request;
pub(crate) mod start_queue;
pub(crate) mod subscribers;
pub(crate) mod upstream_listen;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_proto::Id;

use crate::instance::fair_queue::FairQueue;
use crate::instance::in_flight_requests::InFlightRequests;
use crate::instance::request::{InFlightRequest, InternalRequest, Owner};
use crate::instance::start_queue::StartQueue;
use crate::instance::subscribers::Subscribers;
use crate::instance::upstream_listen::UpstreamListen;
use crate::limits::{PROBE_TIMEOUT, SILENT_PROBE_TIMEOUT};
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId};
use crate::types::introduction::{Introduction, Offer};
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
    pub(crate) upstream_listen: UpstreamListen,
    /// The listens of clients that are relayed, by number: the client, and its id of the listen.
    pub(crate) relays: BTreeMap<u64, (ClientId, Id)>,
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
    /// The process is being started, or the server has not introduced itself yet.
    Starting { deadline: Instant, waiting: StartQueue, opening: Opening },
    /// The server has introduced itself.
    Ready(Introduction),
}

/// How the conversation with a server is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With `initialize`, perhaps after the server has refused `server/discover`.
    Initialize { after_discover: bool },
    /// With `server/discover`: the server speaks the modern era, or has refused `initialize` with this answer.
    Discover { after_initialize: Option<String> },
    /// With `server/discover`, since it is not known which era the server speaks.
    Probe(Probe),
}

/// How far a server is that is asked which era it speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Probe {
    /// When the server was asked. `None` before its process runs.
    pub(crate) asked: Option<Instant>,
    /// Whether the server was sent `initialize` as well, because it was silent.
    pub(crate) sent_initialize: bool,
}

impl Opening {
    /// Whether the server was asked which era it speaks: clients of both may wait for it.
    pub(crate) fn has_asked(&self) -> bool {
        match self {
            Opening::Probe(_) => true,
            Opening::Initialize { after_discover } => *after_discover,
            Opening::Discover { .. } => false,
        }
    }

    /// The requests that the server has not answered, for a sentence.
    pub(crate) fn unanswered(&self) -> &'static str {
        match self {
            Opening::Initialize { .. } => "`initialize`",
            Opening::Discover { .. } | Opening::Probe(Probe { sent_initialize: false, .. }) => {
                "`server/discover`"
            }
            Opening::Probe(Probe { sent_initialize: true, .. }) => "`server/discover` or `initialize`",
        }
    }
}

impl Probe {
    /// When something is to be done about the server's silence.
    pub(crate) fn due(&self, start_timeout: Duration) -> Option<Instant> {
        let patience = if self.sent_initialize {
            SILENT_PROBE_TIMEOUT.min(start_timeout / 2)
        } else {
            PROBE_TIMEOUT.min(start_timeout / 4)
        };
        Some(self.asked? + patience)
    }
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
    pub(crate) fn new(
        policy: &Policy,
        number: u32,
        (key, opening): (ShareKey, Opening),
        time: Instant,
    ) -> Self {
        Instance {
            server: policy.name.clone(),
            number,
            key,
            call_timeout: policy.call_timeout,
            phase: Phase::Starting {
                deadline: time + policy.start_timeout,
                waiting: StartQueue::default(),
                opening,
            },
            clients: Vec::new(),
            fair_queue: FairQueue::default(),
            in_flight: InFlightRequests::default(),
            idle_since: Some(time),
            level: None,
            subscribers: Subscribers::default(),
            upstream_listen: UpstreamListen::default(),
            relays: BTreeMap::new(),
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

    /// No client uses the instance any more.
    pub(crate) fn forget_clients(&mut self, time: Instant) {
        self.clients.clear();
        self.idle_since = Some(time);
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

    /// Parks a request: the server waits for input, and does not count as working for anybody meanwhile. Returns when the
    /// request is given up in any case.
    pub(crate) fn park_request(&mut self, number: u64, state: &str) -> Option<Instant> {
        let request = self.in_flight.get_mut(number)?;
        request.owner = Owner::Router(InternalRequest::Parked(state.to_owned()));
        // The time of the request stands still. The parked call has a deadline of its own.
        request.deadline = request.limit;
        if let Some(client) = request.charged_client.take() {
            self.fair_queue.finish_request(client);
        }
        Some(request.limit)
    }

    /// Goes on with a parked request, for this call. Returns whether the request is still there.
    pub(crate) fn resume_request(&mut self, number: u64, call: CallId, time: Instant) -> bool {
        let Some(request) = self.in_flight.get_mut(number) else { return false };
        request.owner = Owner::Call(call);
        request.deadline = request.limit.min(time + self.call_timeout);
        request.charged_client = Some(call.client);
        self.fair_queue.begin_request(call.client);
        true
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

    pub(crate) fn ready(&self) -> Option<&Introduction> {
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

    /// The era in which the server is spoken to.
    pub(crate) fn era(&self) -> Era {
        self.key.era
    }

    pub(crate) fn label(&self) -> String {
        format!("{}#{}", self.server, self.number)
    }
}
