//! Every bound of the router: how many, how large, how long.
//!
//! The bounds of messages, lists and texts, which other crates share, are in [`exai_proto::limits`].

use std::time::Duration;

// Clients.

/// How many requests of one client may be under way. One more is answered with -31003.
pub const MAX_REQUESTS_PER_CLIENT: u32 = 1024;
/// How many questions of servers one client may leave unanswered. One more is refused.
pub(crate) const MAX_QUESTIONS_PER_CLIENT: usize = 1024;

// Instances.

/// How many instances of one server there may be.
pub(crate) const MAX_INSTANCES_PER_SERVER: usize = 64;
/// How many messages may wait for one instance to become ready.
pub(crate) const MAX_STARTING_MESSAGES: usize = 1024;
/// How many bytes of messages may wait for one instance to become ready.
pub(crate) const MAX_STARTING_BYTES: usize = 64 * 1024 * 1024;
/// How many requests of all clients one instance is given at a time.
pub(crate) const MAX_REQUESTS_PER_INSTANCE: u32 = 64;
/// How many requests of one client an instance is given, however many of other clients it works on.
pub(crate) const MIN_SHARE_PER_CLIENT: u32 = 4;
/// How long a request waits for its turn at an instance. Then it is answered with -31003.
pub(crate) const TURN_TIMEOUT: Duration = Duration::from_secs(15);
/// How many bytes of requests may wait for their turn at one instance.
pub(crate) const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;
/// How long a call may take in all, whatever its progress.
pub const CALL_TOTAL_TIMEOUT: Duration = Duration::from_hours(1);
/// How long a cancelled request is kept for what the server still says about it.
pub(crate) const CANCELLED_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an instance has to answer a ping.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(5);

// Eras.

/// How long it is believed that a server does not speak the modern era.
pub(crate) const ERA_VERDICT_TTL: Duration = Duration::from_hours(7 * 24);
/// How long a server that is asked which era it speaks may be silent. Then it is sent `initialize` as well.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long such a server may be silent altogether. Then it is started anew, and is not asked.
pub(crate) const SILENT_PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the `server/discover` of a client waits for a server of which nothing is known yet. Some clients wait for
/// three seconds before they turn to the legacy era.
pub(crate) const DISCOVER_TIMEOUT: Duration = Duration::from_millis(2500);
/// How often a request of a client may need further input before it is given up.
pub(crate) const MAX_INPUT_ROUNDS: u8 = 10;
/// How much input one answer of a server may need. A client is asked for no more at once.
pub(crate) const MAX_INPUT_REQUESTS: usize = 16;
/// How long the answers to one round of input may take.
pub(crate) const INPUT_TIMEOUT: Duration = Duration::from_mins(10);
/// How long the part of the filter of a subscription may be that exai does not know.
pub(crate) const MAX_RELAYED_FILTER_BYTES: usize = 64 * 1024;
/// How long a server may take to say what it honours of that part. Then the client is told what exai itself tells.
pub(crate) const RELAY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the description of a client may be that is kept. A longer one is read, and not passed on in other words.
pub(crate) const MAX_CLIENT_INFO_BYTES: usize = 16 * 1024;
/// How many calls of clients of the modern era may wait for input that a legacy server needs: in all, and of one client.
pub(crate) const MAX_PARKED_CALLS: usize = 1024;
pub(crate) const MAX_PARKED_CALLS_PER_CLIENT: usize = 64;
/// How many bytes of questions and answers may be kept for parked calls.
pub(crate) const MAX_PARKED_BYTES: usize = 64 * 1024 * 1024;
/// How long the first question of a server waits for others that it asks at the same time.
pub(crate) const GATHERING_INTERVAL: Duration = Duration::from_millis(20);
/// How many questions of a server may wait for the client of one such call.
pub(crate) const MAX_PARKED_QUESTIONS: usize = 16;
/// A server that ends a subscription of the router sooner than this is not asked again.
pub(crate) const MIN_LISTEN_DURATION: Duration = Duration::from_secs(5);
/// How many subscriptions (`subscriptions/listen`) one client may have open.
pub(crate) const MAX_LISTENS_PER_CLIENT: usize = 64;

// Time.

/// How often the router looks at what has no event and no deadline of its own.
pub(crate) const TICK_INTERVAL: Duration = Duration::from_millis(250);
/// How long calls to a server at which somebody must sign in are answered without asking it again.
pub(crate) const SIGNED_OUT_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of calls that wait for sign-ins. What finds no room goes on, and its client is asked again.
pub(crate) const MAX_AWAITED_SIGN_IN_BYTES: usize = 64 * 1024 * 1024;
/// How long a call waits for a sign-in to which its user has agreed: less than the minute that clients wait as a rule.
pub(crate) const SIGN_IN_WAIT: Duration = Duration::from_secs(45);
/// The first pause before a failed server is started again. Each further failure doubles the pause.
pub(crate) const MIN_RESTART_INTERVAL: Duration = Duration::from_millis(500);
/// The longest pause before a failed server is started again.
pub(crate) const MAX_RESTART_INTERVAL: Duration = Duration::from_secs(30);
/// The ends of a server within this time are counted against its `crash_limit`.
pub(crate) const CRASH_COUNT_INTERVAL: Duration = Duration::from_mins(1);

// Lists.

/// How long a list waits for a server whose list is not known. With the way to the client and back this makes the
/// 1.5 s that clients are promised.
pub(crate) const UNKNOWN_LIST_TIMEOUT: Duration = Duration::from_millis(1400);
/// How long a list waits for a server whose list is known from before: that is a good answer, and some clients give up
/// after a second.
pub(crate) const KNOWN_LIST_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a message waits for the lists that say where it belongs. A wrong answer would be worse than a late one.
pub(crate) const ROUTING_LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// How many times in a row a list is asked for again at once because it was outdated when it came. A server that
/// announces a change whenever it is asked would be asked without end.
pub(crate) const MAX_OUTDATED_LISTS: u8 = 3;
/// How many messages of one client may wait for lists to be routed.
pub(crate) const MAX_UNROUTED_MESSAGES: usize = 64;
/// How many bytes of messages of all clients may wait for lists to be routed.
pub(crate) const MAX_UNROUTED_BYTES: usize = 64 * 1024 * 1024;
/// The first pause between two notifications that a list has changed. Servers that go on announcing double the pause.
pub(crate) const MIN_LIST_CHANGED_INTERVAL: Duration = Duration::from_millis(250);
/// The longest pause between two notifications that a list has changed, for a server that announces without end.
pub(crate) const MAX_LIST_CHANGED_INTERVAL: Duration = Duration::from_secs(10);
/// How much of a server's words an error or a log line quotes, in characters.
pub(crate) const MAX_QUOTED_CHARS: usize = 300;

// Names and addresses.

/// The longest aggregated name, in characters: clients prefix `mcp__exai__` and allow 64.
pub(crate) const MAX_AGGREGATED_NAME_CHARS: usize = 53;
/// How many templates of one server are matched with an address.
pub(crate) const MAX_TEMPLATES_PER_SERVER: usize = 1000;
/// Into how many parts one template is taken.
pub(crate) const MAX_TEMPLATE_PARTS: usize = 32;
/// How many of the resources that an address may be a part of are looked for.
pub(crate) const MAX_PARENT_URIS: usize = 64;
/// The longest request, in bytes, that is kept so that another server can be asked.
pub(crate) const MAX_REREAD_BYTES: usize = 64 * 1024;
/// How many handed-out addresses of one server are remembered. One server's many displace no other's.
pub(crate) const MAX_HANDED_OUT_URIS: usize = 1024;
/// How many bytes of handed-out addresses of one server are remembered.
pub(crate) const MAX_HANDED_OUT_BYTES: usize = 128 * 1024;
/// How many bytes of a result are searched for addresses from its beginning.
pub(crate) const MAX_SEARCHED_HEAD_BYTES: usize = 1024 * 1024;
/// How many bytes of a result are searched for addresses at its end.
pub(crate) const MAX_SEARCHED_TAIL_BYTES: usize = 64 * 1024;
/// How many addresses are taken from one result.
pub(crate) const MAX_URIS_PER_RESULT: usize = 256;

// Capabilities.

/// The longest text of one capability of a client, in bytes. A longer one is declared to no server.
pub(crate) const MAX_CAPABILITY_BYTES: usize = 8 * 1024;
/// How many names of one capability of all servers are united.
pub(crate) const MAX_UNITED_NAMES: usize = 256;
/// How many bytes all servers together may say under the names of one capability.
pub(crate) const MAX_UNITED_BYTES: usize = 64 * 1024;
/// How long an instance must work before its silence means something: servers ask for roots a moment after their start.
pub(crate) const SILENCE_INTERVAL: Duration = Duration::from_secs(5);
/// How many different values of one capability are remembered as those on which a server kept silent.
pub(crate) const MAX_VALUES_PER_CAPABILITY: usize = 8;
/// The longest remembered value of one capability, in bytes: what is kept of all servers is one small file.
pub(crate) const MAX_OBSERVED_VALUE_BYTES: usize = 1024;
/// The lists under how many different declarations are compared. Clients that declare something else beyond that share
/// with clients that declare the same.
pub(crate) const MAX_COMPARED_DECLARATIONS: usize = 32;
/// How much of what clients declare `exai why` shows, in characters.
pub(crate) const MAX_SHOWN_DECLARATION_CHARS: usize = 300;
