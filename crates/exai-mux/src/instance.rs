//! What the router knows of one run of a server.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::pages::Pages;
use exai_proto::{Id, Message};

use crate::catalogue::Kind;
use crate::event::ClientId;
use crate::health::Run;
use crate::lanes::{Held, Lanes};
use crate::level::Level;
use crate::limits::{CANCELLED_REQUEST_TIMEOUT, MAX_STARTING_BYTES, MAX_STARTING_MESSAGES};
use crate::policy::{Policy, ShareKey};
use crate::resources;

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
    /// It was taken out of use: see [`crate::retire`].
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

/// What `initialize` told.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// The result, as the server wrote it.
    pub(crate) result: Bytes,
    /// The protocol revision the server chose.
    pub(crate) version: String,
    pub(crate) capabilities: Capabilities,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capabilities {
    pub(crate) tools: Offer,
    pub(crate) prompts: Offer,
    pub(crate) resources: Offer,
    pub(crate) logging: bool,
}

/// Whether a server has lists of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Offer {
    #[default]
    Nothing,
    /// It has, and does not say when they change.
    Lists,
    /// It has, and announces changes (`listChanged`).
    Announced,
}

/// What waits for an instance to become ready.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A client's `initialize` on the server's own endpoint.
    Initialize { client: ClientId, id: Id },
    /// Anything else a client sent.
    Message(Held),
    /// A list for the catalogue, since it was asked for.
    List(Kind, Instant),
}

impl Waiting {
    pub(crate) fn client(&self) -> Option<ClientId> {
        match self {
            Waiting::Initialize { client, .. } | Waiting::Message(Held { client, .. }) => Some(*client),
            Waiting::List(..) => None,
        }
    }

    /// The id of the request that waits.
    pub(crate) fn id(&self) -> Option<Id> {
        match self {
            Waiting::Initialize { id, .. } => Some(id.clone()),
            Waiting::Message(held) => held.id(),
            Waiting::List(..) => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Waiting::Message(held) => held.message.bytes().len(),
            Waiting::Initialize { .. } | Waiting::List(..) => 0,
        }
    }
}

/// Whether one more message, of this many bytes, may wait with the others.
pub(crate) fn has_room(waiting: &VecDeque<Waiting>, bytes: usize) -> bool {
    waiting.len() < MAX_STARTING_MESSAGES
        && waiting.iter().map(Waiting::bytes).sum::<usize>() + bytes <= MAX_STARTING_BYTES
}

/// A request the server has not answered.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) owner: Owner,
    /// Whose share of the server it is, also when nobody waits for it any more.
    pub(crate) lane: Option<ClientId>,
    /// When it is given up unless there is progress.
    pub(crate) deadline: Instant,
    /// When it is given up whatever happens.
    pub(crate) limit: Instant,
}

impl InFlight {
    /// The id under which a client still waits for it.
    fn wanted_by(&self) -> Option<&Id> {
        match &self.owner {
            Owner::Client { id, cancelled: false, .. } => Some(id),
            Owner::Client { .. } | Owner::Router(_) => None,
        }
    }

    /// The client no longer wants it.
    pub(crate) fn cancel(&mut self, time: Instant) {
        if let Owner::Client { cancelled, .. } = &mut self.owner {
            *cancelled = true;
        }
        self.deadline = self.deadline.min(time + CANCELLED_REQUEST_TIMEOUT);
    }
}

#[derive(Debug)]
pub(crate) enum Owner {
    /// A client waits for it.
    Client {
        client: ClientId,
        id: Id,
        token: Option<Id>,
        wish: Wish,
        /// The client no longer wants it. It counts for nothing any more; what the server still says to it
        /// is passed on for a while.
        cancelled: bool,
    },
    /// The router asked on its own account.
    Router(Errand),
}

/// What else must happen when a client's request succeeds.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Nothing,
    Call {
        tool: Box<str>,
    },
    /// A list, from its first page on or a later one; as of how many changes of it, see [`crate::catalogue::Catalogue`].
    List {
        kind: Kind,
        first: bool,
        as_of: u64,
    },
    /// A resource that may be another server's.
    Read(Box<Read>),
    SetLevel(Level),
    Subscribe(String),
    Unsubscribe(String),
}

/// What is needed to read a resource elsewhere, where the server that was asked does not have it.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) uri: String,
    pub(crate) message: Message,
    /// The servers that did not have it.
    pub(crate) tried: Vec<Arc<str>>,
}

/// What the router asked for.
#[derive(Debug)]
pub(crate) enum Errand {
    Initialize,
    /// One page of a list; the pages so far, and when the first was asked for.
    List {
        kind: Kind,
        pages: Pages,
        asked: Instant,
        as_of: u64,
    },
    /// A ping of this many bytes.
    Ping {
        sent: usize,
    },
    /// Nobody waits for the answer any more.
    Forgotten,
    /// The same, and the server was told so.
    Cancelled,
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
        let known = resources::with_parents(uri).filter_map(|uri| self.subscribers.get(uri));
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
}
