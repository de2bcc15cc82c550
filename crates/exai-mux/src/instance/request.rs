//! A request that an instance has not answered.

use std::time::Instant;

use exai_proto::pages::Pages;

use crate::limits::CANCELLED_REQUEST_TIMEOUT;
use crate::types::ids::{CallId, ClientId};
use crate::types::list_kind::ListKind;

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
    /// Nobody wants the answer any more. A server that heeds the cancellation does not answer: the place of the request
    /// is not kept for long.
    pub(crate) fn expect_no_answer(&mut self, time: Instant) {
        self.deadline = self.deadline.min(time + CANCELLED_REQUEST_TIMEOUT);
    }
}

/// On whose account a request was sent.
#[derive(Debug)]
pub(crate) enum Owner {
    /// The request is a leg of this call.
    Call(CallId),
    /// The router has sent the request on its own account.
    Router(InternalRequest),
}

/// What the router has asked for on its own account.
#[derive(Debug)]
pub(crate) enum InternalRequest {
    Initialize,
    Discover,
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
    /// A call of a client of the modern era that waits for input, under this request state.
    Parked(String),
    /// The answer makes no difference.
    Forgotten,
    /// The client that waited has left, and the server was told to cancel.
    Cancelled,
}
