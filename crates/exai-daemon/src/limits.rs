//! Every bound of the daemon, and how long it waits for what.
//!
//! Those that are numbers are `limits` of the status document (`observe/counters.rs`). ARCHITECTURE.md says what happens
//! beyond each.

use std::time::Duration;

use exai_os::descriptors;
use exai_proto::limits;
use exai_supervisor::outbox::Bound;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// === Clients: what they say ===

/// Bytes of messages that clients have begun and not ended, or ended and the hub has not heard, together.
pub(crate) const MAX_UNFINISHED_BYTES: usize = 256 * MIB;
/// A message up to this many bytes takes nothing of that budget.
pub(crate) const UNBUDGETED_BYTES: usize = 16 * KIB;
/// How long a client may be silent within a message, and how long a message waits for room in the budget.
pub(crate) const UNFINISHED_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that are read of one message: a little more than it may have, so that a message that is just too long is
/// answered under its id.
pub(crate) const MAX_INPUT_BYTES: usize = limits::MESSAGE_BYTES + 1024;
/// Frames that one connection says in one turn.
pub(crate) const MAX_TURN_FRAMES: usize = 64;
/// Bytes that one connection says in one turn.
pub(crate) const MAX_TURN_BYTES: usize = MIB;
/// Pings of one client that wait for their pongs. The client is not read meanwhile.
pub(crate) const MAX_WAITING_PINGS: usize = 16;
/// How long a shim may take to say hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client of the origin's wire may take to say hello.
pub(crate) const ORIGIN_HELLO_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may take to send the head of a request.
pub(crate) const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);

// === Clients: what they are told ===

/// What waits for one client. A plain limit would have to be larger than the largest message, or little that waits would
/// cut off a healthy client when a large answer comes.
pub(crate) const CLIENT_QUEUE: Bound =
    Bound { relaxed: SLOW_CLIENT_BYTES, limit: 24 * MIB, messages: usize::MAX };
/// A client for which more bytes wait for [`SLOW_CLIENT_TIMEOUT`] is cut off.
pub(crate) const SLOW_CLIENT_BYTES: usize = 4 * MIB;
/// How long [`SLOW_CLIENT_BYTES`] may wait.
pub(crate) const SLOW_CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Log messages that wait for one client.
pub(crate) const MAX_QUEUED_LOGS: usize = 1000;
/// Messages that wait on one event stream.
pub(crate) const MAX_STREAM_MESSAGES: usize = 1024;
/// Messages of one HTTP session that wait for its GET stream.
pub(crate) const MAX_UNSTREAMED_MESSAGES: usize = 256;
/// Bytes of them.
pub(crate) const MAX_UNSTREAMED_BYTES: usize = MIB;
/// How long a WebSocket may take to close.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer may take to reach its client once the daemon has closed its sockets.
pub(crate) const LAST_ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

// === Connections and sessions ===

/// Connections on the local socket, and as many on TCP. The two are counted apart: TCP connections cost their owner
/// nothing, and must not lock the shims out.
pub(crate) const MAX_CONNECTIONS: usize = 1024;
/// Connections on TCP: no more than half of the file descriptors.
pub(crate) fn max_tcp_connections() -> usize {
    let half = descriptors::most().and_then(|most| usize::try_from(most / 2).ok());
    half.map_or(MAX_CONNECTIONS, |half| half.min(MAX_CONNECTIONS))
}

/// TCP connections that wait to be accepted: as many as Linux lets wait by default. The daemon accepts thousands a second.
pub(crate) const TCP_BACKLOG: u32 = 4096;

/// File descriptors that TCP leaves to the local socket and to servers; where there are few, a quarter of all.
pub(crate) const RESERVED_DESCRIPTORS: u64 = 64;
/// Characters of a host that is refused, in the answer: the longest name that a host can have, and a port.
pub(crate) const MAX_SHOWN_HOST_CHARS: usize = 260;
/// HTTP sessions.
pub(crate) const MAX_HTTP_SESSIONS: usize = 256;
/// An HTTP session without a stream ends when it has not been used for this long.
pub(crate) const HTTP_SESSION_IDLE_TIMEOUT: Duration = Duration::from_mins(30);
/// Endpoints that one connection of a client of the modern era may use. For another one, the oldest client of the connection
/// is closed.
pub(crate) const MAX_ENDPOINTS_PER_CONNECTION: usize = 16;
/// Connections of one HTTP session that are remembered from one look to the next.
pub(crate) const MAX_REMEMBERED_CALLERS: usize = 64;

// === The hub ===

/// Events that wait for the hub, of each kind. Who has more to say waits.
pub(crate) const MAX_HUB_EVENTS: usize = 1024;
/// Lines that are kept of a server before the hub knows that it runs.
pub(crate) const MAX_EARLY_LINES: usize = 64;
/// Bytes of each of those lines.
pub(crate) const MAX_EARLY_LINE_BYTES: usize = 4 * KIB;
/// Characters of what a client calls itself that go to the log.
pub(crate) const MAX_LOGGED_CHARS: usize = 100;
/// How long shims may take to hold what their clients say, before the daemon is replaced.
pub(crate) const HOLD_TIMEOUT: Duration = Duration::from_secs(1);
/// How long calls may take that were on their way when the daemon made room for a newer build. A daemon with calls under
/// way does not make room; a call that came in the same moment must not delay everybody else for longer.
pub(crate) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take for each step of its end when the daemon ends.
pub(crate) const SERVER_STOP_TIMEOUT: Duration = Duration::from_secs(1);

// === Servers ===

/// The longest time that a server may be given by the configuration: larger numbers mean "never", and must not overflow a
/// clock.
pub(crate) const FOREVER: Duration = Duration::from_hours(24 * 365);
/// What waits for one server.
pub(crate) const SERVER_QUEUE: Bound =
    Bound { relaxed: 0, limit: MAX_SERVER_QUEUE_BYTES, messages: MAX_SERVER_QUEUE_MESSAGES };
/// Bytes that wait for one server: two of the largest messages.
pub(crate) const MAX_SERVER_QUEUE_BYTES: usize = 2 * limits::MESSAGE_BYTES;
/// Messages that wait for one server. A server that asks without end and does not read the answers costs no more.
pub(crate) const MAX_SERVER_QUEUE_MESSAGES: usize = 65_536;
/// How long the account's login shell may take to print its environment.
pub(crate) const LOGIN_SHELL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may take to end what an earlier daemon left behind. Servers wait for this; the daemon does not.
pub(crate) const STARTUP_CLEANUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a daemon that was killed may take to be gone.
pub(crate) const PREDECESSOR_END_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests under way at one server with a URL: each has a connection of its own. More requests wait.
pub(crate) const MAX_CONNECTIONS_PER_URL: usize = 256;
/// How many tokens one request may show, one after the other, when the server refuses each.
pub(crate) const MAX_TOKENS_PER_REQUEST: usize = 4;
/// Processes that renew sign-ins at the same time. Further renewals wait.
pub(crate) const MAX_RENEWING_PROCESSES: usize = 8;
/// Sign-ins that wait for a browser.
pub(crate) const MAX_PENDING_SIGN_INS: usize = 256;
/// How long a page on which somebody signs in is good for.
pub(crate) const SIGN_IN_PAGE_TIMEOUT: Duration = Duration::from_mins(10);
/// Sets of proxies and certificates for which connections are shared.
pub(crate) const MAX_REMOTE_CLIENTS: usize = 16;
/// How long it may take to find out what a sign-in at a server would need: several servers are asked.
pub(crate) const SIGN_IN_PLAN_TIMEOUT: Duration = Duration::from_secs(45);
/// Idle connections to one server.
pub(crate) const MAX_IDLE_CONNECTIONS: usize = 16;
/// How long a connection is kept for the next request. Servers close theirs after two seconds or more, and a request on a
/// connection that is being closed is lost.
pub(crate) const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to connect to a server elsewhere, with TLS and through a proxy.
pub(crate) const REMOTE_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection to a server elsewhere is kept for the next request. Another one takes several round trips.
pub(crate) const REMOTE_IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a connection with HTTP/2 is asked whether it still works, while requests wait on it.
pub(crate) const REMOTE_PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long the answer to that may take.
pub(crate) const REMOTE_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a WebSocket to a server elsewhere is asked whether it still works, while the server says nothing.
pub(crate) const WEBSOCKET_PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long the answer to that may take.
pub(crate) const WEBSOCKET_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one message may take until all of it was sent on a WebSocket: the longest one at 280 kB/s.
pub(crate) const WEBSOCKET_SEND_TIMEOUT: Duration = Duration::from_mins(2);
/// How long it may take to connect to a server on this machine.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take from the end of an answer until it carries the next request.
pub(crate) const NEXT_REQUEST_TIMEOUT: Duration = Duration::from_millis(50);
/// Bytes of an error's text that are read.
pub(crate) const MAX_ERROR_BODY_BYTES: usize = 64 * KIB;
/// Characters of it that are shown.
pub(crate) const MAX_SHOWN_ERROR_CHARS: usize = 200;
/// How long an event stream may take to end after its answer; its connection can be used again then.
pub(crate) const STREAM_END_TIMEOUT: Duration = Duration::from_millis(100);
/// How long it may take to learn that a server has ended, once a connection broke off.
pub(crate) const SERVER_END_TIMEOUT: Duration = Duration::from_millis(300);
/// The pause before the rest of an event stream is asked for, unless the server names another.
pub(crate) const STREAM_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// The longest pause that a server may name.
pub(crate) const MAX_STREAM_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest pause that a server may name. It is doubled when nothing new came, up to
/// [`MAX_BARREN_RETRY_INTERVAL`].
pub(crate) const MIN_STREAM_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// See [`MIN_STREAM_RETRY_INTERVAL`].
pub(crate) const MAX_BARREN_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How often in a row the rest of an event stream is asked for when nothing new comes.
pub(crate) const MAX_BARREN_RETRIES: u32 = 5;
/// Bytes that are kept of an event that is too long: enough to find its id.
pub(crate) const MAX_KEPT_EVENT_BYTES: usize = 64 * KIB;
/// Bytes of the id of an event: it is sent back in a header.
pub(crate) const MAX_EVENT_ID_BYTES: usize = 4 * KIB;
/// How long a server may take to accept a message that needs no answer.
pub(crate) const ACCEPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Tools of one server whose calls repeat arguments in headers.
pub(crate) const MAX_MARKED_TOOLS: usize = 4096;
/// Pages of a list of tools that are asked for to learn which arguments a call must repeat.
pub(crate) const MAX_TOOL_PAGES: usize = 64;
/// How long the daemon listens to the answer of a cancelled request.
pub(crate) const CANCELLED_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a server at which nobody is signed in is asked for its event stream.
pub(crate) const SIGNED_OUT_LISTEN_INTERVAL: Duration = Duration::from_mins(10);
/// How long the event stream for what belongs to no request may take to open before requests are sent.
pub(crate) const STREAM_OPEN_TIMEOUT: Duration = Duration::from_millis(250);
/// How long a server of the HTTP+SSE transport may take to open its event stream and to name its endpoint there. It is
/// less than the router waits for the answer to `initialize`.
pub(crate) const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of such an endpoint.
pub(crate) const MAX_ENDPOINT_BYTES: usize = 8 * KIB;
/// Servers that are remembered to speak that transport.
pub(crate) const MAX_KNOWN_SSE_SERVERS: usize = 1024;
/// Redirects that one request follows.
pub(crate) const MAX_REDIRECTS: usize = 3;
/// How long another process may take to leave the port of a server that is about to start: it may be just ending.
pub(crate) const PORT_FREE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the end of a session with a server may take.
pub(crate) const SESSION_END_TIMEOUT: Duration = Duration::from_millis(500);

// === Files ===

/// Bytes of what one server says of itself that are kept.
pub(crate) const MAX_DISCOVERY_BYTES: usize = 32 * MIB;
/// Bytes of `verdicts.json`; a verdict is a line.
pub(crate) const MAX_VERDICTS_BYTES: u64 = 4 * MIB as u64;
/// Labels of clients whose last connection is remembered. The one that is longest ago goes.
pub(crate) const MAX_REMEMBERED_CLIENTS: usize = 256;
/// Bytes of a text that is kept to be written again. What a longer one says is learned again.
pub(crate) const MAX_RETRIED_BYTES: usize = 4 * MIB;

// === The life of the daemon ===

/// How long one step of the start may take: less than a command waits, so that the command hears of it.
pub(crate) const START_STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the instance lock is tried for: a predecessor may be just ending.
pub(crate) const INSTANCE_LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a new lock file is tried for: a start that finds the second authority taken lets go at once.
pub(crate) const RENEWED_LOCK_TIMEOUT: Duration = Duration::from_millis(300);
/// How long requests under way may take when a signal, or another daemon, ends this one.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long last words may take, and then the ends of tasks.
pub(crate) const TASKS_END_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long the end of a self-check is waited for.
pub(crate) const LAST_CHECK_TIMEOUT: Duration = Duration::from_secs(1);
