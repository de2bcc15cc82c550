//! Where a client's messages go.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_mux::About;
use exai_proto::link::{ByeReason, FromDaemon};
use exai_proto::{Id, Segments};
use exai_supervisor::outbox::{Outbox, Unsent};
use tokio::sync::mpsc;

use crate::client::coalesce::{self, Use};
use crate::client::http_streams::{HttpSession, TooSlow};
use crate::limits::{HTTP_SESSION_IDLE_TIMEOUT, MAX_QUEUED_LOGS, SLOW_CLIENT_BYTES, SLOW_CLIENT_TIMEOUT};

/// How often it is looked whether a client with that much reads.
const LOOK: Duration = Duration::from_millis(250);

/// The way to one client. Pushing never waits.
#[derive(Debug)]
pub(crate) struct Sink {
    way: ClientTransport,
    /// What a link is told once the hub has taken its client in.
    greeting: Option<FromDaemon>,
    slow_since: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum ClientTransport {
    /// A shim, the command line, or a WebSocket.
    Socket(Socket),
    /// A session of Streamable HTTP.
    Http(Arc<HttpSession>),
}

/// The sending side of a WebSocket.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    pub(crate) outbox: Outbox,
    /// What is said at the end, if this side ends it.
    pub(crate) farewell: Arc<OnceLock<Farewell>>,
    /// For control messages of a link.
    pub(crate) controls: mpsc::Sender<FromDaemon>,
}

/// Why this side ends a WebSocket.
#[derive(Debug)]
pub(crate) enum Farewell {
    /// The daemon ends.
    Bye(ByeReason),
    /// The peer breaks the protocol, or a bound: the code and the reason.
    Broken(u16, &'static str),
    /// The peer has closed it, with this code.
    Answer(Option<u16>),
}

impl Socket {
    /// To who reads, everything is sent. To others what is no answer may make what waits useless, or be useless.
    fn push(&self, bytes: Segments, about: &About) -> Result<(), Unsent> {
        if matches!(about, About::Answer(_)) || !self.outbox.is_stalled() {
            return self.outbox.push(bytes);
        }
        match bytes.as_whole().map_or(Use::Needed, coalesce::weigh) {
            Use::Needed => self.outbox.push(bytes),
            Use::Latest(kind) => self.outbox.push_latest(&kind, bytes),
            Use::Log => match self.outbox.push_expendable(bytes, MAX_QUEUED_LOGS)? {
                0 => Ok(()),
                logs => self.outbox.push_latest(coalesce::DROPPED, coalesce::dropped(logs)),
            },
        }
    }
}

/// Why a client is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// It went by itself.
    Left,
    /// It did not read.
    Slow,
    /// Its session has ended, or nobody has used it for long.
    Unused,
    /// The process whose session it was has ended.
    Gone,
    /// It was the longest unused of so many sessions that there was no room for another.
    MadeRoom,
    /// The daemon stops.
    Stopping,
}

impl CloseReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CloseReason::Left => "left",
            CloseReason::Slow => "does not read what waits for it",
            CloseReason::Unused => "its session has ended, or was not used for 30 minutes",
            CloseReason::Gone => "its process has ended",
            CloseReason::MadeRoom => "256 sessions were open, and it was not used for longest",
            CloseReason::Stopping => "the daemon stops",
        }
    }
}

impl Sink {
    /// `greeting`: for the peer of a link, once the hub has taken it in.
    pub(crate) fn new(way: ClientTransport, greeting: Option<FromDaemon>) -> Self {
        Sink { way, greeting, slow_since: None }
    }

    /// Says hello to the peer of a link, which from then on counts what it writes as sent. So whoever is not taken in
    /// must not hear it: nothing of what it has to say was sent then.
    pub(crate) fn greet(&mut self) {
        if let (ClientTransport::Socket(socket), Some(greeting)) = (&self.way, self.greeting.take()) {
            // Without room only for a peer that has said more than its own hello: it waits in vain.
            let _ = socket.controls.try_send(greeting);
        }
    }

    pub(crate) fn send(&self, bytes: Segments, about: About) -> Result<(), TooSlow> {
        match &self.way {
            ClientTransport::Socket(socket) => match socket.push(bytes, &about) {
                // What is closed has told the hub so, or is about to.
                Ok(()) | Err(Unsent::Closed) => Ok(()),
                Err(Unsent::Full { queued }) => Err(TooSlow { queued }),
            },
            ClientTransport::Http(session) => session.deliver(bytes, about),
        }
    }

    /// Answers a request that came too late to be served by this daemon. Over HTTP it is the status that says so.
    pub(crate) fn unserved(&self, id: &Id, bytes: Bytes) -> Result<(), TooSlow> {
        match &self.way {
            ClientTransport::Socket(_) => self.send(bytes.into(), About::Answer(id.clone())),
            ClientTransport::Http(session) => session.refuse(id, bytes),
        }
    }

    /// A request that will get no answer.
    pub(crate) fn dropped(&self, id: &Id) {
        match &self.way {
            ClientTransport::Socket(_) => {}
            ClientTransport::Http(session) => session.drop_request(id),
        }
    }

    /// Whether the client must be let go.
    pub(crate) fn check(&mut self, now: Instant) -> Option<CloseReason> {
        if let ClientTransport::Http(session) = &self.way
            && (session.is_closed()
                || session
                    .idle_since()
                    .is_some_and(|since| now.duration_since(since) > HTTP_SESSION_IDLE_TIMEOUT))
        {
            return Some(CloseReason::Unused);
        }
        if self.queued() <= SLOW_CLIENT_BYTES {
            self.slow_since = None;
            return None;
        }
        let since = *self.slow_since.get_or_insert(now);
        (now.duration_since(since) >= SLOW_CLIENT_TIMEOUT).then_some(CloseReason::Slow)
    }

    pub(crate) fn queued(&self) -> usize {
        match &self.way {
            ClientTransport::Socket(socket) => socket.outbox.queued(),
            ClientTransport::Http(session) => session.queued(),
        }
    }

    /// The process with whose end an HTTP session ends.
    pub(crate) fn process(&self) -> Option<u32> {
        match &self.way {
            ClientTransport::Socket(_) => None,
            ClientTransport::Http(session) => session.process(),
        }
    }

    /// When [`Sink::check`] will have something to look at though nothing happens until then.
    pub(crate) fn next_check(&self, now: Instant) -> Option<Instant> {
        // Whether it reads on is not told.
        let slow = (self.queued() > SLOW_CLIENT_BYTES).then(|| now + LOOK);
        let unused = match &self.way {
            ClientTransport::Socket(_) => None,
            ClientTransport::Http(session) => {
                Some(session.idle_since().unwrap_or(now) + HTTP_SESSION_IDLE_TIMEOUT)
            }
        };
        slow.into_iter().chain(unused).min()
    }

    /// Asks a shim to keep what its client says from now on for the next daemon. Returns whether it was told, and will
    /// say that it has heard.
    pub(crate) fn hold(&self, reason: ByeReason) -> bool {
        match &self.way {
            ClientTransport::Socket(socket) => socket.controls.try_send(FromDaemon::Hold { reason }).is_ok(),
            ClientTransport::Http(_) => false,
        }
    }

    /// Tells a shim which tools may be repeated. Returns whether there was room: one that keeps an old list must go.
    pub(crate) fn repeatable(&self, tools: Vec<String>) -> bool {
        match &self.way {
            ClientTransport::Socket(socket) => {
                socket.controls.try_send(FromDaemon::Repeatable { tools }).is_ok()
            }
            ClientTransport::Http(_) => true,
        }
    }

    /// `bye` is what a socket is told if the daemon stops.
    pub(crate) fn close(&self, why: CloseReason, bye: ByeReason) {
        match &self.way {
            ClientTransport::Socket(socket) => {
                match why {
                    CloseReason::Stopping => {
                        let _ = socket.farewell.set(Farewell::Bye(bye));
                    }
                    CloseReason::Slow => socket.outbox.clear(),
                    CloseReason::Left | CloseReason::Unused | CloseReason::Gone | CloseReason::MadeRoom => {}
                }
                socket.outbox.close();
            }
            ClientTransport::Http(session) => session.close(why == CloseReason::Slow),
        }
    }
}
