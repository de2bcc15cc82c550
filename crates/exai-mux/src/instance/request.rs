//! A request that an instance has not answered.

use std::sync::Arc;
use std::time::Instant;

use exai_proto::pages::Pages;
use exai_proto::{Id, Message};

use crate::limits::CANCELLED_REQUEST_TIMEOUT;
use crate::types::ids::ClientId;
use crate::types::list_kind::Kind;
use crate::types::log_level::Level;

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
    pub(crate) fn wanted_by(&self) -> Option<&Id> {
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
    /// A list, from its first page on or a later one; as of how many changes of it, see [`crate::server::catalogue::Catalogue`].
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

pub(crate) fn tool_of(wish: &Wish) -> Option<&str> {
    match wish {
        Wish::Call { tool } => Some(tool),
        Wish::Nothing
        | Wish::List { .. }
        | Wish::Read(_)
        | Wish::SetLevel(_)
        | Wish::Subscribe(_)
        | Wish::Unsubscribe(_) => None,
    }
}
