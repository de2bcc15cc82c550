//! What the router knows of one run of a server.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::{Id, Message};

use crate::catalogue::Kind;
use crate::event::ClientId;
use crate::level::Level;
use crate::policy::ShareKey;

/// How many requests one instance may have under way, all clients together.
pub(crate) const MOST_IN_FLIGHT: usize = 8192;
/// How many messages may wait for an instance to become ready, and how many bytes of them.
pub(crate) const MOST_WAITING: usize = 1024;
pub(crate) const MOST_WAITING_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) server: Arc<str>,
    pub(crate) number: u32,
    pub(crate) key: ShareKey,
    pub(crate) phase: Phase,
    pub(crate) clients: Vec<ClientId>,
    /// Requests the server has not answered, by minted id.
    pub(crate) in_flight: HashMap<u64, InFlight>,
    next_id: u64,
    /// Since when no client uses it.
    pub(crate) idle_since: Option<Instant>,
    pub(crate) level: Option<Level>,
    /// Who listens to which resource.
    pub(crate) subscribers: HashMap<String, Vec<ClientId>>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// The process is being started, or `initialize` is under way.
    Starting { deadline: Instant, waiting: VecDeque<Waiting>, bytes: usize },
    /// Serving.
    Ready(Ready),
}

/// What `initialize` told.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The result, as the server wrote it.
    pub(crate) result: Bytes,
    /// The protocol revision the server chose.
    pub(crate) version: String,
    pub(crate) capabilities: Capabilities,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capabilities {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
    pub(crate) logging: bool,
}

/// What waits for an instance to become ready.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A client's `initialize` on the server's own endpoint.
    Initialize { client: ClientId, id: Id },
    /// Anything else a client sent.
    Message { client: ClientId, message: Message },
    /// A list for the catalogue.
    List(Kind),
}

/// A request the server has not answered.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) owner: Owner,
    /// When it is given up unless there is progress.
    pub(crate) deadline: Instant,
    /// When it is given up whatever happens.
    pub(crate) limit: Instant,
}

#[derive(Debug)]
pub(crate) enum Owner {
    /// A client waits for it.
    Client { client: ClientId, id: Id, token: Option<Id>, wish: Wish },
    /// The router asked on its own account.
    Router(Errand),
}

/// What else must happen when a client's request succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Call { tool: Box<str> },
    ListTools,
    SetLevel(Level),
    Subscribe(String),
    Unsubscribe(String),
}

/// What the router asked for.
#[derive(Debug)]
pub(crate) enum Errand {
    Initialize,
    /// One page of a list; the pages so far.
    List {
        kind: Kind,
        items: Vec<Bytes>,
        pages: u32,
    },
    /// Nobody waits for the answer any more.
    Forgotten,
}

impl Instance {
    pub(crate) fn new(server: Arc<str>, number: u32, key: ShareKey, deadline: Instant) -> Self {
        Instance {
            server,
            number,
            key,
            phase: Phase::Starting { deadline, waiting: VecDeque::new(), bytes: 0 },
            clients: Vec::new(),
            in_flight: HashMap::new(),
            next_id: 1,
            idle_since: None,
            level: None,
            subscribers: HashMap::new(),
        }
    }

    pub(crate) fn mint(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(crate) fn ready(&self) -> Option<&Ready> {
        match &self.phase {
            Phase::Starting { .. } => None,
            Phase::Ready(ready) => Some(ready),
        }
    }

    pub(crate) fn label(&self) -> String {
        format!("{}#{}", self.server, self.number)
    }

    /// The client a request of the server must be meant for: the only one with a request under way, or with
    /// none under way the only one there is. Otherwise nobody can know, and it is never guessed.
    pub(crate) fn sole_client(&self) -> Option<(ClientId, Option<Id>)> {
        let mut sole: Option<(ClientId, Option<Id>)> = None;
        for request in self.in_flight.values() {
            if let Owner::Client { client, id, .. } = &request.owner {
                sole = match sole {
                    None => Some((*client, Some(id.clone()))),
                    Some((other, _)) if other != *client => return None,
                    Some((same, _)) => Some((same, None)),
                };
            }
        }
        match (sole, &self.clients[..]) {
            (Some(sole), _) => Some(sole),
            (None, [only]) => Some((*only, None)),
            (None, _) => None,
        }
    }
}
