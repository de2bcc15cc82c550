//! The origin's wire: the WebSocket protocol of the project that exai comes from, told in MCP and back.
//!
//! A client says *ops*, JSON objects whose member `op` says what they are. Each of its calls and lists becomes a request of
//! MCP, and the answers to these become ops again, so that a connection is a client of the hub like any other. Everything
//! here is pure: what a client says goes in, and what is sent to the hub and to the client comes out.
//!
//! The source of the format is `src/daemon/ws_server.py` of EX-AI-MCP-Server as of October 2025. Where it differs from MCP:
//! there is no way to cancel, no notification, and no question of a server; `list_tools` and `health` have no id.

mod names;
pub(crate) mod op;
mod outcome;
pub(crate) mod reply;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_mux::MAX_REQUESTS_PER_CLIENT;
use exai_proto::envelope::Outcome;
use exai_proto::{Id, Kind, Message, answer, json, limits, version};

use crate::front::origin_wire::op::ToolCall;
use crate::front::origin_wire::reply::Caption;

/// How often the client is told that a call is still under way.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(8);
/// The beginning of the id of a ping behind a call. The answer to the ping proves that the router has taken the call: an
/// error that the router gives at once comes before it.
const TAKEN: &str = "taken ";
/// Stands before a frame that waits among messages of the hub and is none. No JSON text begins with this byte.
const FRAME_MARK: u8 = 0;

/// The present.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// By the clock for deadlines.
    pub(crate) instant: Instant,
    /// Microseconds since 1970.
    pub(crate) at_us: i64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Moment { instant: exai_os::clock::now(), at_us: jiff::Timestamp::now().as_microsecond() }
    }
}

/// What follows from an op.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// For the hub.
    pub(crate) messages: Vec<Message>,
    /// For the client, to be queued with the messages of the hub.
    pub(crate) frames: Vec<Bytes>,
}

/// What is known of the daemon besides its tools.
#[derive(Debug)]
pub(crate) struct DaemonHealth {
    pub(crate) uptime_s: u64,
    pub(crate) sessions: usize,
}

/// One client of the origin's wire: what it waits for. All clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct OriginWire(Arc<Mutex<Requests>>);

/// The requests under way.
#[derive(Debug, Default)]
struct Requests {
    last: u64,
    /// By the id of the request of MCP. At most [`MAX_REQUESTS_PER_CLIENT`], as many as the router takes.
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
enum Waiting {
    Tools,
    Health(DaemonHealth),
    Call {
        caption: Caption,
        /// When the client is next told that the call is under way.
        report_at: Instant,
    },
}

impl Requests {
    fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_REQUESTS_PER_CLIENT as usize
    }

    fn caption(&self, number: u64) -> Option<&Caption> {
        match self.waiting.get(&number)? {
            Waiting::Call { caption, .. } => Some(caption),
            Waiting::Tools | Waiting::Health(_) => None,
        }
    }

    fn has_call(&self, request_id: Option<&[u8]>) -> bool {
        let is_same = |waiting: &Waiting| match waiting {
            Waiting::Call { caption, .. } => caption.request_id.as_deref() == request_id,
            Waiting::Tools | Waiting::Health(_) => false,
        };
        request_id.is_some() && self.waiting.values().any(is_same)
    }
}

/// Marks a frame for the queue of messages of the hub.
fn marked(frame: &[u8]) -> Bytes {
    [&[FRAME_MARK], frame].concat().into()
}

/// Passes a message that exai itself has written.
fn message(text: Bytes) -> Vec<Message> {
    Message::parse(text).into_iter().collect()
}

impl OriginWire {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client says first in MCP. It can be asked nothing, since this wire carries no question.
    pub(crate) fn opening() -> Vec<Message> {
        let params = format!(
            "{{\"protocolVersion\":\"{}\",\"capabilities\":{{}},\
             \"clientInfo\":{{\"name\":\"exai-shim\",\"version\":\"0\"}}}}",
            version::NEWEST_LEGACY
        );
        let texts =
            [answer::request(0, "initialize", &params), answer::notification("notifications/initialized")];
        texts.into_iter().flat_map(message).collect()
    }

    /// A number that no request of this client has had.
    pub(crate) fn next_number(&self) -> u64 {
        let mut requests = self.requests();
        requests.last += 1;
        requests.last
    }

    /// The client asks for all tools.
    pub(crate) fn list_tools(&self, number: u64) -> Step {
        self.ask_for_tools(number, Waiting::Tools)
    }

    /// The client asks how the daemon is. The tools that it would be listed are counted.
    pub(crate) fn check_health(&self, number: u64, health: DaemonHealth) -> Step {
        self.ask_for_tools(number, Waiting::Health(health))
    }

    fn ask_for_tools(&self, number: u64, waiting: Waiting) -> Step {
        let mut requests = self.requests();
        if requests.is_full() {
            return Self::refuse("too much is under way; nothing was asked");
        }
        requests.waiting.insert(number, waiting);
        Step { messages: message(answer::request(number, "tools/list", "{}")), frames: Vec::new() }
    }

    /// The client calls a tool.
    pub(crate) fn call_tool(&self, number: u64, call: ToolCall, now: Moment) -> Step {
        let ToolCall { name, request_id, message: request } = call;
        let caption = Caption { name, request_id };
        let mut requests = self.requests();
        if requests.has_call(caption.request_id.as_deref()) {
            let original = format!(",\"original_request_id\":{}", caption.request_id());
            let text = "a call with this request_id is under way on this connection";
            return Step::say(&reply::failed(&caption, "DUPLICATE", text, &original));
        }
        if requests.is_full() {
            let text = format!("{MAX_REQUESTS_PER_CLIENT} requests of this client are under way");
            return Step::say(&reply::over_capacity(&caption, &text));
        }
        let accepted = reply::progress(&caption, now.at_us, Some("accepted, awaiting the server"));
        let report_at = now.instant + PROGRESS_INTERVAL;
        requests.waiting.insert(number, Waiting::Call { caption, report_at });
        let ping = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{TAKEN}{number}\",\"method\":\"ping\"}}");
        let messages = std::iter::once(request).chain(message(ping.into())).collect();
        Step { messages, ..Step::say(&accepted) }
    }

    /// Tells the client that what it has said cannot be done.
    pub(crate) fn refuse(why: &str) -> Step {
        Step::say(&reply::error(why))
    }

    /// The frame for the client that follows from a message of the hub, or that was queued with them. `None` if this wire
    /// has no word for the message.
    pub(crate) fn tell(&self, queued: Bytes, now: Moment) -> Option<Bytes> {
        if queued.first() == Some(&FRAME_MARK) {
            return Some(queued.slice(1..));
        }
        let message = Message::of_server(queued).ok()?;
        match message.kind().clone() {
            Kind::Response { id, outcome } => self.tell_answer(&message, &id, outcome, now),
            Kind::Notification { method, params: Some(params) }
                if message.str_at(&method) == "notifications/progress" =>
            {
                self.tell_progress(message.bytes(), params, now)
            }
            // The client has declared that it can be asked nothing.
            Kind::Notification { .. } | Kind::Request { .. } => None,
        }
    }

    fn tell_answer(
        &self,
        message: &Message,
        id: &Range<usize>,
        outcome: Outcome,
        now: Moment,
    ) -> Option<Bytes> {
        if let Some(call) = message.string_at(Some(id)).and_then(|id| id.strip_prefix(TAKEN)?.parse().ok()) {
            return self.requests().caption(call).map(reply::taken);
        }
        let number = Id::from_json(message.at(id)).as_number()?;
        let waiting = self.requests().waiting.remove(&number)?;
        // What follows may take long, so it happens without the lock.
        let text = message.bytes();
        Some(match (waiting, outcome) {
            (Waiting::Call { caption, .. }, Outcome::Result(result)) => {
                outcome::result(&caption, text, result)
            }
            (Waiting::Call { caption, .. }, Outcome::Error(error)) => outcome::failure(&caption, text, error),
            (Waiting::Tools, Outcome::Result(result)) => tools(text, result),
            (Waiting::Health(DaemonHealth { uptime_s, sessions }), Outcome::Result(result)) => {
                let tools =
                    json::find(text, result, "tools").map_or(0, |at| json::elements(text, at).count());
                reply::health(now.at_us, uptime_s, sessions, MAX_REQUESTS_PER_CLIENT, tools)
            }
            (Waiting::Tools | Waiting::Health(_), Outcome::Error(error)) => {
                let (_, why) = outcome::read_failure(text, error);
                reply::error(&format!("the tools cannot be listed: {why}"))
            }
        })
    }

    fn tell_progress(&self, text: &[u8], params: Range<usize>, now: Moment) -> Option<Bytes> {
        let token = json::find(text, params.clone(), "progressToken")?;
        let number = Id::from_json(&text[token]).as_number()?;
        let note = json::find(text, params, "message").and_then(|place| json::string(text, place));
        let mut requests = self.requests();
        let Waiting::Call { caption, report_at } = requests.waiting.get_mut(&number)? else { return None };
        *report_at = now.instant + PROGRESS_INTERVAL;
        Some(reply::progress(caption, now.at_us, note.as_deref()))
    }

    /// The frames for calls of which the client has not heard for a while.
    pub(crate) fn report(&self, now: Moment) -> Vec<Bytes> {
        let mut frames = Vec::new();
        for waiting in self.requests().waiting.values_mut() {
            if let Waiting::Call { caption, report_at } = waiting
                && *report_at <= now.instant
            {
                *report_at = now.instant + PROGRESS_INTERVAL;
                frames.push(reply::progress(caption, now.at_us, None));
            }
        }
        frames
    }

    /// When [`OriginWire::report`] must be called next.
    pub(crate) fn next_report(&self) -> Option<Instant> {
        let requests = self.requests();
        let times = requests.waiting.values().filter_map(|waiting| match waiting {
            Waiting::Call { report_at, .. } => Some(*report_at),
            Waiting::Tools | Waiting::Health(_) => None,
        });
        times.min()
    }
}

impl Step {
    /// A step that tells the client something, and nobody else.
    pub(crate) fn say(frame: &[u8]) -> Self {
        Step { messages: Vec::new(), frames: vec![marked(frame)] }
    }
}

/// All tools. The router lists all of them on one page.
fn tools(text: &[u8], result: Range<usize>) -> Bytes {
    let mut frame = br#"{"op":"list_tools_res","tools":["#.to_vec();
    let start = frame.len();
    let tools = json::find(text, result, "tools");
    for tool in tools.into_iter().flat_map(|tools| json::elements(text, tools)) {
        let member = |key| json::find(text, tool.clone(), key);
        let Some(name) = member("name").and_then(|place| json::string(text, place)) else { continue };
        let written = |key, first: u8, otherwise: &'static [u8]| match member(key) {
            Some(place) if text[place.start] == first => &text[place],
            _ => otherwise,
        };
        let name = json::quote(names::listed(&name));
        let description = written("description", b'"', b"\"\"");
        let schema = written("inputSchema", b'{', br#"{"type":"object"}"#);
        // Clients of the origin end the connection over a longer message.
        if frame.len() + name.len() + description.len() + schema.len() + 60 > limits::MESSAGE_BYTES {
            tracing::warn!(
                "a client of the origin's wire is not told of all tools: they fit into no message"
            );
            break;
        }
        if frame.len() > start {
            frame.push(b',');
        }
        for part in [
            br#"{"name":"#,
            name.as_bytes(),
            br#","description":"#,
            description,
            br#","inputSchema":"#,
            schema,
            b"}",
        ] {
            frame.extend_from_slice(part);
        }
    }
    frame.extend_from_slice(b"]}");
    frame.into()
}

#[cfg(test)]
mod tests;
