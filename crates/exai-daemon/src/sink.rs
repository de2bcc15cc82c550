//! Where a client's messages go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_mux::About;
use exai_supervisor::outbox::Outbox;

use crate::session::Session;

/// How many bytes may wait for one client. One message of the largest size must fit, and some more.
pub(crate) const CLIENT_BYTES: usize = exai_proto::limits::MESSAGE_BYTES + 8 * 1024 * 1024;
/// A client with more than this waiting for longer than [`PATIENCE`] is cut off.
const MANY: usize = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to one client. Pushing never waits.
#[derive(Debug)]
pub(crate) struct Sink {
    way: Way,
    slow_since: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum Way {
    /// A shim, the command line, or a WebSocket.
    Socket(Outbox),
    /// A session of Streamable HTTP.
    Http(Arc<Session>),
}

/// The client does not read; it must be disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow {
    pub(crate) queued: usize,
}

impl Sink {
    pub(crate) fn new(way: Way) -> Self {
        Sink { way, slow_since: None }
    }

    pub(crate) fn send(&self, bytes: Bytes, about: About) -> Result<(), TooSlow> {
        match &self.way {
            Way::Socket(outbox) => outbox.push(bytes).map_err(|full| TooSlow { queued: full.queued }),
            Way::Http(session) => session.deliver(bytes, about),
        }
    }

    /// Looks whether the client has been slow for too long.
    pub(crate) fn check(&mut self, now: Instant) -> Result<(), TooSlow> {
        let queued = match &self.way {
            Way::Socket(outbox) => outbox.queued(),
            // A session's buffers are bounded one by one.
            Way::Http(_) => 0,
        };
        if queued <= MANY {
            self.slow_since = None;
            return Ok(());
        }
        let since = *self.slow_since.get_or_insert(now);
        if now.duration_since(since) < PATIENCE { Ok(()) } else { Err(TooSlow { queued }) }
    }

    /// Whether bytes wait that the client has not taken.
    pub(crate) fn has_queued(&self) -> bool {
        matches!(&self.way, Way::Socket(outbox) if outbox.queued() > 0)
    }

    pub(crate) fn close(&self) {
        match &self.way {
            Way::Socket(outbox) => outbox.close(),
            Way::Http(session) => session.close(),
        }
    }
}
