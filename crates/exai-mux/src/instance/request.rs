//! A request that an instance has not answered.

use std::sync::Arc;
use std::time::Instant;

use exai_proto::pages::Pages;
use exai_proto::{Id, Message};

use crate::limits::CANCELLED_REQUEST_TIMEOUT;
use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;
use crate::types::log_level::LogLevel;

/// A request the server has not answered.
#[derive(Debug)]
pub(crate) struct InFlightRequest {
    pub(crate) owner: Owner,
    /// Whose share of the server it is, also when nobody waits for it any more.
    pub(crate) charged_client: Option<ClientId>,
    /// When it is given up unless there is progress.
    pub(crate) deadline: Instant,
    /// When it is given up whatever happens.
    pub(crate) limit: Instant,
}

impl InFlightRequest {
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
        on_success: OnSuccess,
        /// The client no longer wants it. It counts for nothing any more; what the server still says to it
        /// is passed on for a while.
        cancelled: bool,
    },
    /// The router asked on its own account.
    Router(InternalRequest),
}

/// What else must happen when a client's request succeeds.
#[derive(Debug, Clone)]
pub(crate) enum OnSuccess {
    Nothing,
    Call {
        tool: Box<str>,
    },
    /// A list, from its first page on or a later one; as of how many changes of it, see [`crate::server::catalogue::Catalogue`].
    List {
        kind: ListKind,
        first: bool,
        as_of: u64,
    },
    /// A resource that may be another server's.
    ResourceRead(Box<ResourceRead>),
    SetLevel(LogLevel),
    Subscribe(String),
    Unsubscribe(String),
}

/// What is needed to read a resource elsewhere, where the server that was asked does not have it.
#[derive(Debug, Clone)]
pub(crate) struct ResourceRead {
    pub(crate) uri: String,
    pub(crate) message: Message,
    /// The servers that did not have it.
    pub(crate) tried: Vec<Arc<str>>,
}

/// What the router asked for.
#[derive(Debug)]
pub(crate) enum InternalRequest {
    Initialize,
    /// One page of a list; the pages so far, and when the first was asked for.
    List {
        kind: ListKind,
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

pub(crate) fn called_tool(on_success: &OnSuccess) -> Option<&str> {
    match on_success {
        OnSuccess::Call { tool } => Some(tool),
        OnSuccess::Nothing
        | OnSuccess::List { .. }
        | OnSuccess::ResourceRead(_)
        | OnSuccess::SetLevel(_)
        | OnSuccess::Subscribe(_)
        | OnSuccess::Unsubscribe(_) => None,
    }
}
