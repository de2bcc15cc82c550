//! Every bound of this crate: how long, how much, how often.

use std::time::Duration;

use exai_proto::limits;

// Joining and starting a daemon.

/// How long a daemon may leave a hello unanswered before it counts as wedged.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to try to join or start a daemon in all, unless the caller says otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How much earlier than the whole attempt one step of it ends, so that the step that hangs is the one that is named.
pub(crate) const STEP_MARGIN: Duration = Duration::from_millis(100);
/// The longest record of a daemon that is read. A record is one small object.
pub(crate) const MAX_RECORD_BYTES: u64 = 1024 * 1024;
/// How many lines of the daemon's log a failed start shows.
pub(crate) const LOG_TAIL_LINES: usize = 40;
/// How much of the end of a log is searched for lines.
pub(crate) const TAIL_WINDOW_BYTES: u64 = 256 * 1024;
/// The shortest and the longest pause between two looks at a daemon that is starting or ending.
pub(crate) const MIN_PAUSE: Duration = Duration::from_millis(2);
/// See [`MIN_PAUSE`].
pub(crate) const MAX_PAUSE: Duration = Duration::from_millis(20);
/// The longest file that is read as a token. A token has some 64 characters.
pub(crate) const MAX_TOKEN_BYTES: u64 = 1024;
/// The longest head of an answer to the WebSocket handshake. It usually has some 150 bytes.
pub(crate) const MAX_HANDSHAKE_BYTES: usize = 8 * 1024;

// Ending a daemon.

/// How much longer than its grace period a daemon may take before it is ended by force.
pub(crate) const STOP_MARGIN: Duration = Duration::from_secs(3);
/// How long the process of a daemon may take to be gone after it was killed.
pub(crate) const KILL_TIMEOUT: Duration = Duration::from_millis(1500);

// Reading and writing.

/// How much to ask a pipe or socket for at once, at least.
pub(crate) const READ_BYTES: usize = 32 * 1024;
/// The usual size of a buffer: what a pipe or a socket hands over at once.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;
/// How often a larger buffer must have been emptied without need for more than [`BUFFER_BYTES`] before it shrinks.
pub(crate) const SHRINK_AFTER: u32 = 16;
/// From this length on a message is written from where it stands and not copied.
pub(crate) const LARGE_MESSAGE_BYTES: usize = 32 * 1024;
/// How much of a long message is written at once on the local socket. A daemon that takes less in [`SILENCE_TIMEOUT`] hangs.
pub(crate) const MAX_PART_BYTES: usize = 1024 * 1024;
/// How much is collected before it is written. A multiple of a mask key's length.
pub(crate) const MAX_WRITE_BYTES: usize = 128 * 1024;

// What a shim keeps for its client.

/// How long a request waits for a daemon, all its waiting together.
pub const DAEMON_WAIT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long `initialize` waits for a daemon: clients give up after 10 s or more, and a session that has begun can be
/// mended.
pub const INITIALIZE_WAIT_TIMEOUT: Duration = Duration::from_secs(8);
/// How much earlier than the waiting requests expire the search for a daemon should give a reason.
pub(crate) const WAIT_MARGIN: Duration = Duration::from_millis(250);
/// How many messages may wait for a daemon.
pub(crate) const MAX_WAITING: usize = 256;
/// How many bytes may wait for a daemon.
pub(crate) const MAX_WAITING_BYTES: usize = limits::MESSAGE_BYTES;
/// How many bytes of requests are kept to be asked again. What is beyond is not asked again.
pub(crate) const MAX_REPEATABLE_BYTES: usize = limits::MESSAGE_BYTES;
/// How many pages of lists are kept.
pub(crate) const MAX_COPIED_PAGES: usize = 256;
/// How many bytes of pages of lists are kept in all.
pub(crate) const MAX_COPIED_BYTES: usize = 8 * 1024 * 1024;
/// The longest introduction of a server that is remembered.
pub(crate) const MAX_INTRODUCTION_BYTES: usize = 1024 * 1024;
/// The longest text of a log level that is remembered.
pub(crate) const MAX_LEVEL_BYTES: usize = 64;
/// How many listens (`subscriptions/listen`) a client may have open.
pub(crate) const MAX_LISTENS: usize = 256;
/// How many bytes are kept of open listens in all: their texts, and what was acknowledged.
pub(crate) const MAX_LISTEN_BYTES: usize = 8 * 1024 * 1024;

// Finding a daemon again.

/// How often a shim that does not start a daemon looks whether there is one.
pub(crate) const JOIN_INTERVAL: Duration = Duration::from_millis(500);
/// How long a shim waits before it tries again to start a daemon, at first.
pub(crate) const MIN_START_DELAY: Duration = Duration::from_millis(100);
/// How long a shim waits before it tries again to start a daemon, at most.
pub(crate) const MAX_START_DELAY: Duration = Duration::from_secs(30);
/// The least wait after a start that failed for a reason: what was in its way may pass, as a half-written file does.
pub(crate) const FAILED_START_DELAY: Duration = Duration::from_millis(500);
/// How long one attempt to join or start a daemon may take, at least.
pub(crate) const MIN_ARRIVAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A link that lived for less was lost early.
pub(crate) const SHORT_LINK: Duration = Duration::from_secs(1);
/// How long a shim waits after its second early loss of a link.
pub(crate) const MIN_FLAPPING_DELAY: Duration = Duration::from_millis(50);
/// How long a shim waits after many early losses, at most.
pub(crate) const MAX_FLAPPING_DELAY: Duration = Duration::from_secs(1);
/// The weight of failed starts that stops a shim from starting daemons for a while.
pub(crate) const BREAKER_WEIGHT: u32 = 6;
/// Failed starts count for so long.
pub(crate) const BREAKER_WINDOW: Duration = Duration::from_mins(1);
/// How long no start is tried then. Each one after that is a single try.
pub(crate) const BREAKER_REST: Duration = Duration::from_secs(30);

// Whether a daemon lives.

/// How often a daemon that owes something is pinged.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(5);
/// A daemon that owes something and is silent for so long hangs.
pub(crate) const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);
/// A shim that looks so much later than it meant to has been asleep, as the machine may have been: what was silent then
/// is not known.
pub(crate) const MAX_LATENESS: Duration = Duration::from_secs(2);
/// The stack of a thread that writes one ping.
pub(crate) const PING_STACK_BYTES: usize = 64 * 1024;

// The end of a shim, and the waiting of people.

/// How long answers may come after stdin has ended.
pub(crate) const OUTPUT_TIMEOUT: Duration = Duration::from_millis(1500);
/// How often a person who waits for an answer hears of it.
pub(crate) const WAITING_INTERVAL: Duration = Duration::from_secs(1);
