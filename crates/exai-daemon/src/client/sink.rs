//! The sending side of a client: its transport, and when the client is too slow.

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

/// How often a client with more than [`SLOW_CLIENT_BYTES`] waiting is checked.
const SLOW_CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// The code that closes the WebSocket of a client that may not stay (RFC 6455, 7.4.1).
const POLICY_CODE: u16 = 1008;

/// The sending side of one client. Sending never waits.
#[derive(Debug)]
pub(crate) struct Sink {
    transport: ClientTransport,
    /// Sent to the peer of a link once the hub has accepted the client.
    greeting: Option<FromDaemon>,
    slow_since: Option<Instant>,
}

/// What carries a client's messages.
#[derive(Debug)]
pub(crate) enum ClientTransport {
    /// A shim, the command line, or a WebSocket.
    Socket(Socket),
    /// A session of Streamable HTTP, or a connection in the modern era.
    Http(Arc<HttpSession>),
}

/// The sending side of a WebSocket.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    pub(crate) outbox: Outbox,
    /// How this side ends the WebSocket; empty while it does not.
    pub(crate) farewell: Arc<OnceLock<Farewell>>,
    /// The control messages of a link.
    pub(crate) controls: mpsc::Sender<FromDaemon>,
}

/// Why this side ends a WebSocket.
#[derive(Debug)]
pub(crate) enum Farewell {
    /// The daemon ends.
    Bye(ByeReason),
    /// The peer broke the protocol or exceeded a bound: the code and the reason.
    Broken(u16, &'static str),
    /// The peer has closed the WebSocket, with this code.
    Answer(Option<u16>),
}

impl Socket {
    /// Queues a message. If the client does not read, messages that are no answers may replace waiting ones, or be dropped.
    fn push_message(&self, bytes: Segments, about: &About) -> Result<(), Unsent> {
        if matches!(about, About::Answer(_)) || !self.outbox.is_stalled() {
            return self.outbox.push(bytes);
        }
        match bytes.as_whole().map_or(Use::Needed, coalesce::classify_message) {
            Use::Needed => self.outbox.push(bytes),
            Use::Latest(kind) => self.outbox.push_latest(&kind, bytes),
            Use::Log => match self.outbox.push_expendable(bytes, MAX_QUEUED_LOGS)? {
                0 => Ok(()),
                logs => self.outbox.push_latest(coalesce::DROPPED_KIND, coalesce::dropped_notice(logs)),
            },
        }
    }
}

/// Why the connection of a client is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The client left.
    Left,
    /// The client did not read.
    Slow,
    /// The session has ended, or was not used for [`HTTP_SESSION_IDLE_TIMEOUT`].
    Unused,
    /// The process that owned the session has ended.
    Gone,
    /// There was no room for another session, and this one was unused for longest.
    MadeRoom,
    /// The token that has let the client in was removed.
    Revoked,
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
            CloseReason::Revoked => "its token was removed",
            CloseReason::Stopping => "the daemon stops",
        }
    }
}

impl Sink {
    /// `greeting` is sent to the peer of a link once the hub has accepted the client.
    pub(crate) fn new(transport: ClientTransport, greeting: Option<FromDaemon>) -> Self {
        Sink { transport, greeting, slow_since: None }
    }

    /// Says hello to the peer of a link. From the hello on, the peer counts what it writes as sent, so a client that the hub
    /// does not accept must not get it: none of its messages count as sent then.
    pub(crate) fn send_greeting(&mut self) {
        if let (ClientTransport::Socket(socket), Some(greeting)) = (&self.transport, self.greeting.take()) {
            // There is no room only if the peer said more than its own hello. Such a peer waits in vain.
            let _ = socket.controls.try_send(greeting);
        }
    }

    pub(crate) fn send_message(&self, bytes: Segments, about: About) -> Result<(), TooSlow> {
        match &self.transport {
            ClientTransport::Socket(socket) => match socket.push_message(bytes, &about) {
                // A closed socket has told the hub so, or is about to.
                Ok(()) | Err(Unsent::Closed) => Ok(()),
                Err(Unsent::Full { queued }) => Err(TooSlow { queued }),
            },
            ClientTransport::Http(session) => session.deliver_message(bytes, about),
        }
    }

    /// Answers a request that came too late to be served by this daemon. Over HTTP the status says so.
    pub(crate) fn refuse_request(&self, id: &Id, bytes: Bytes) -> Result<(), TooSlow> {
        match &self.transport {
            ClientTransport::Socket(_) => self.send_message(bytes.into(), About::Answer(id.clone())),
            ClientTransport::Http(session) => session.refuse_request(id, bytes),
        }
    }

    /// Forgets a request that will get no answer.
    pub(crate) fn drop_request(&self, id: &Id) {
        match &self.transport {
            ClientTransport::Socket(_) => {}
            ClientTransport::Http(session) => session.drop_request(id),
        }
    }

    /// Why the client must be disconnected; `None` if it need not be.
    pub(crate) fn find_close_reason(&mut self, now: Instant) -> Option<CloseReason> {
        if let ClientTransport::Http(session) = &self.transport
            && (session.is_closed()
                || session
                    .idle_since()
                    .is_some_and(|since| now.duration_since(since) > HTTP_SESSION_IDLE_TIMEOUT))
        {
            return Some(CloseReason::Unused);
        }
        if self.queued_bytes() <= SLOW_CLIENT_BYTES {
            self.slow_since = None;
            return None;
        }
        let since = *self.slow_since.get_or_insert(now);
        (now.duration_since(since) >= SLOW_CLIENT_TIMEOUT).then_some(CloseReason::Slow)
    }

    /// Whether an HTTP response is under way.
    pub(crate) fn has_open_stream(&self) -> bool {
        match &self.transport {
            ClientTransport::Socket(_) => false,
            ClientTransport::Http(session) => session.idle_since().is_none(),
        }
    }

    /// Bytes that wait for the client.
    pub(crate) fn queued_bytes(&self) -> usize {
        match &self.transport {
            ClientTransport::Socket(socket) => socket.outbox.queued(),
            ClientTransport::Http(session) => session.queued_bytes(),
        }
    }

    /// The id of the process that owns an HTTP session.
    pub(crate) fn owner_pid(&self) -> Option<u32> {
        match &self.transport {
            ClientTransport::Socket(_) => None,
            ClientTransport::Http(session) => session.owner_pid(),
        }
    }

    /// When [`Sink::find_close_reason`] must be called next, even if no event comes until then.
    pub(crate) fn next_check_time(&self, now: Instant) -> Option<Instant> {
        // No event says that a slow client reads again.
        let slow = (self.queued_bytes() > SLOW_CLIENT_BYTES).then(|| now + SLOW_CHECK_INTERVAL);
        let unused = match &self.transport {
            ClientTransport::Socket(_) => None,
            ClientTransport::Http(session) => {
                Some(session.idle_since().unwrap_or(now) + HTTP_SESSION_IDLE_TIMEOUT)
            }
        };
        slow.into_iter().chain(unused).min()
    }

    /// Asks a shim to keep what its client says from now on for the next daemon. Returns whether the request was sent; the
    /// shim will confirm it then.
    pub(crate) fn send_hold(&self, reason: ByeReason) -> bool {
        match &self.transport {
            ClientTransport::Socket(socket) => socket.controls.try_send(FromDaemon::Hold { reason }).is_ok(),
            ClientTransport::Http(_) => false,
        }
    }

    /// Tells a shim which tools may be repeated. Returns whether there was room: a shim with an outdated list must be
    /// disconnected.
    pub(crate) fn send_repeatable_tools(&self, tools: Vec<String>) -> bool {
        match &self.transport {
            ClientTransport::Socket(socket) => {
                socket.controls.try_send(FromDaemon::Repeatable { tools }).is_ok()
            }
            ClientTransport::Http(_) => true,
        }
    }

    /// Closes the transport of a client whose token was removed before the hub heard of the client. Over HTTP nothing was
    /// answered yet, so its connection has a status to come.
    pub(crate) fn refuse_revoked(&self) {
        match &self.transport {
            ClientTransport::Socket(_) => self.close(CloseReason::Revoked, ByeReason::Stop),
            ClientTransport::Http(session) => session.close(false),
        }
    }

    /// Closes the client's transport. A socket is told `bye` if the daemon stops.
    pub(crate) fn close(&self, why: CloseReason, bye: ByeReason) {
        match &self.transport {
            ClientTransport::Socket(socket) => {
                match why {
                    CloseReason::Stopping => {
                        let _ = socket.farewell.set(Farewell::Bye(bye));
                    }
                    CloseReason::Revoked => {
                        let _ = socket.farewell.set(Farewell::Broken(POLICY_CODE, "the token was removed"));
                        socket.outbox.clear();
                    }
                    CloseReason::Slow => socket.outbox.clear(),
                    CloseReason::Left | CloseReason::Unused | CloseReason::Gone | CloseReason::MadeRoom => {}
                }
                socket.outbox.close();
            }
            ClientTransport::Http(session) => {
                session.close(matches!(why, CloseReason::Slow | CloseReason::Revoked));
            }
        }
    }
}
