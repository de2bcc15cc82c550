//! What the daemon counts, and what it bounds: `counters` and `limits` of the status document.

use std::collections::BTreeMap;

use exai_mux::counts::Counts;
use exai_proto::Id;
use exai_proto::answer::Failure;
use exai_supervisor::limits as supervisor_limits;

use crate::limits;

/// What has happened since the daemon started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    /// Requests of clients.
    pub(crate) calls: u64,
    /// Clients that were disconnected because they did not read.
    pub(crate) clients_cut: u64,
    overloaded: u64,
    timed_out: u64,
}

/// What there is now, beside what the router knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    /// Servers that have ended by themselves since the daemon started.
    pub(crate) server_crashes: u64,
    /// Connections that are not counted as clients: those of the command line, and those of HTTP clients of the modern
    /// era that have nothing under way.
    pub(crate) uncounted: usize,
    pub(crate) queued_bytes: usize,
    /// Bytes of messages that clients have begun to send.
    pub(crate) unfinished_bytes: usize,
    pub(crate) tasks: usize,
    pub(crate) hub_queue: usize,
}

impl Counters {
    /// Counts an answer to the request with this id if it is one of the failures that are counted.
    pub(crate) fn answered(&mut self, id: &Id, answer: &[u8]) {
        match code(id, answer) {
            Some(code) if code == Failure::Overloaded.code() => self.overloaded += 1,
            Some(code) if code == Failure::TimedOut.code() => self.timed_out += 1,
            Some(_) | None => {}
        }
    }

    pub(crate) fn document(&self, present: &Present, router: &Counts) -> BTreeMap<String, u64> {
        let now = [
            ("clients", router.clients.saturating_sub(present.uncounted)),
            ("instances", router.instances),
            ("shared", router.shared),
            ("in_flight", router.in_flight),
            ("waiting", router.waiting),
            ("gatherings", router.gatherings),
            ("owed", router.owed),
            ("subscriptions", router.subscriptions),
            ("asked", router.asked),
            ("queued_bytes", present.queued_bytes),
            ("unfinished_bytes", present.unfinished_bytes),
            ("tasks", present.tasks),
            ("hub_queue", present.hub_queue),
        ];
        let since = [
            ("calls", self.calls),
            ("clients_cut", self.clients_cut),
            ("overloaded", self.overloaded),
            ("timed_out", self.timed_out),
            ("server_crashes", present.server_crashes),
        ];
        let now = now.into_iter().map(|(name, number)| (name, number as u64));
        now.chain(since).map(|(name, number)| (name.to_owned(), number)).collect()
    }
}

/// The code of an error that the daemon has made itself. Reads a few bytes at a known place, since every answer passes
/// here.
fn code(id: &Id, answer: &[u8]) -> Option<i32> {
    let start = br#"{"jsonrpc":"2.0","id":"#.len() + id.as_json().len();
    let rest = answer.get(start..)?.strip_prefix(br#","error":{"code":"#)?;
    let end = rest.iter().position(|&byte| byte == b',')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// Every bound that is a number, by name. ARCHITECTURE.md says what happens beyond each.
pub(crate) fn limits() -> BTreeMap<String, u64> {
    let own = [
        ("message_bytes", exai_proto::limits::MESSAGE_BYTES as u64),
        ("message_depth", u64::from(exai_proto::limits::DEPTH)),
        ("named_servers", exai_proto::limits::NAMED_SERVERS as u64),
        ("turns_per_connection", supervisor_limits::TURNS as u64),
        ("turn_messages", limits::MAX_TURN_FRAMES as u64),
        ("turn_bytes", limits::MAX_TURN_BYTES as u64),
        ("unfinished_bytes", limits::MAX_UNFINISHED_BYTES as u64),
        ("unfinished_silence_s", limits::UNFINISHED_TIMEOUT.as_secs()),
        ("client_queue_bytes", limits::CLIENT_QUEUE.limit as u64),
        ("client_slow_bytes", limits::SLOW_CLIENT_BYTES as u64),
        ("client_slow_s", limits::SLOW_CLIENT_TIMEOUT.as_secs()),
        ("client_queue_logs", limits::MAX_QUEUED_LOGS as u64),
        ("server_queue_bytes", limits::MAX_SERVER_QUEUE_BYTES as u64),
        ("server_queue_messages", limits::MAX_SERVER_QUEUE_MESSAGES as u64),
        ("connections_per_url", limits::MAX_CONNECTIONS_PER_URL as u64),
        ("sockets", limits::MAX_CONNECTIONS as u64),
        ("tcp_connections", limits::max_tcp_connections() as u64),
        ("http_sessions", limits::MAX_HTTP_SESSIONS as u64),
        ("http_session_unused_s", limits::HTTP_SESSION_IDLE_TIMEOUT.as_secs()),
        ("endpoints_per_connection", limits::MAX_ENDPOINTS_PER_CONNECTION as u64),
        ("remembered_clients", limits::MAX_REMEMBERED_CLIENTS as u64),
        ("server_log_bytes", supervisor_limits::LOG_BYTES),
        ("stderr_tail_lines", supervisor_limits::TAIL_LINES as u64),
    ];
    own.into_iter().chain(exai_mux::counts::limits()).map(|(name, limit)| (name.to_owned(), limit)).collect()
}

#[cfg(test)]
mod tests {
    use exai_proto::answer::{self, FailureData, Source};

    use super::*;

    #[test]
    fn failures_of_our_own_are_told_from_everything_else() {
        let (plain, long) = (Id::number(7), Id::from_json(br#""a long \"id\"""#));
        let mut counters = Counters::default();
        for id in [&plain, &long] {
            for failure in [Failure::Overloaded, Failure::TimedOut, Failure::ServerCrashed] {
                let data = FailureData::new(Source::Daemon, failure);
                counters.answered(id, &answer::failure(id, "a, b", &data));
            }
            counters.answered(id, &answer::result(id, br#"{"error":{"code":-31003,"message":""}}"#));
            counters.answered(id, b"{}");
        }
        assert_eq!((counters.overloaded, counters.timed_out), (2, 2));
    }
}
