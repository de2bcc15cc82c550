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
    /// The client whose share of the server the request takes, even if that client no longer waits for it.
    pub(crate) charged_client: Option<ClientId>,
    /// When the request is given up unless there is progress.
    pub(crate) deadline: Instant,
    /// When the request is given up in any case.
    pub(crate) limit: Instant,
}

impl InFlightRequest {
    /// The id under which a client still waits for the answer.
    pub(crate) fn wanted_by(&self) -> Option<&Id> {
        match &self.owner {
            Owner::Client { id, cancelled: false, .. } => Some(id),
            Owner::Client { .. } | Owner::Router(_) => None,
        }
    }

    /// The client no longer wants an answer.
    pub(crate) fn cancel(&mut self, time: Instant) {
        if let Owner::Client { cancelled, .. } = &mut self.owner {
            *cancelled = true;
        }
        self.deadline = self.deadline.min(time + CANCELLED_REQUEST_TIMEOUT);
    }
}

#[derive(Debug)]
pub(crate) enum Owner {
    /// A client waits for the answer.
    Client {
        client: ClientId,
        id: Id,
        token: Option<Id>,
        on_success: OnSuccess,
        /// Whether the client has cancelled the request. Then the request counts for nothing any more; what the
        /// server still says about it is passed on for a while.
        cancelled: bool,
    },
    /// The router has sent the request on its own account.
    Router(InternalRequest),
}

/// What the router must do when a request of a client succeeds.
#[derive(Debug, Clone)]
pub(crate) enum OnSuccess {
    Nothing,
    Call {
        tool: Box<str>,
    },
    /// Learn from a list, from its first page on or a later one. `as_of` is the number of changes that the server had
    /// announced: see [`crate::server::catalogue::Catalogue`].
    List {
        kind: ListKind,
        first: bool,
        as_of: u64,
    },
    /// Nothing; but if the server does not have the resource, read it elsewhere.
    ResourceRead(Box<ResourceRead>),
    SetLevel(LogLevel),
    Subscribe(String),
    Unsubscribe(String),
}

/// What is needed to read a resource elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct ResourceRead {
    pub(crate) uri: String,
    pub(crate) message: Message,
    /// The servers that do not have the resource.
    pub(crate) tried: Vec<Arc<str>>,
}

/// What the router has asked for on its own account.
#[derive(Debug)]
pub(crate) enum InternalRequest {
    Initialize,
    /// One page of a list. `pages` are the pages so far; `asked` is when the first page was asked for.
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
    /// The answer makes no difference.
    Forgotten,
    /// The client that waited has left, and the server was told to cancel.
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
