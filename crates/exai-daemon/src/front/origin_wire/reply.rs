//! The frames that a client of the origin's wire is sent.

use std::fmt::Write as _;

use bytes::Bytes;
use exai_mux::CALL_TOTAL_TIMEOUT;
use exai_proto::{json, limits};

/// How the JSON text of a missing request id is written.
const NO_ID: &[u8] = b"null";
/// Characters of the note of one progress.
const MAX_NOTE_CHARS: usize = 1000;

/// A call as its client knows it.
#[derive(Debug, Clone)]
pub(super) struct Caption {
    /// The name that was called.
    pub(super) name: String,
    /// The JSON text of the client's own id, if it gave one.
    pub(super) request_id: Option<Box<[u8]>>,
}

impl Caption {
    pub(super) fn request_id(&self) -> &str {
        std::str::from_utf8(self.request_id.as_deref().unwrap_or(NO_ID)).unwrap_or_default()
    }
}

/// The answer to a hello with the right token.
pub(crate) fn welcome(session_id: &str) -> Bytes {
    format!("{{\"op\":\"hello_ack\",\"ok\":true,\"session_id\":{}}}", json::quote(session_id)).into()
}

/// The answer to any other first frame.
pub(crate) fn no_welcome(error: &str) -> Bytes {
    format!("{{\"op\":\"hello_ack\",\"ok\":false,\"error\":{}}}", json::quote(error)).into()
}

/// The answer to what is no op.
pub(crate) fn error(message: &str) -> Bytes {
    format!("{{\"op\":\"error\",\"message\":{}}}", json::quote(message)).into()
}

/// The answer to the order to change the token, which is never carried out.
pub(crate) fn token_stays(error: &str) -> Bytes {
    format!("{{\"op\":\"rotate_token_res\",\"ok\":false,\"error\":{}}}", json::quote(error)).into()
}

/// How the daemon is. `at_us` is the time in microseconds since 1970.
pub(super) fn health(at_us: i64, uptime_s: u64, sessions: usize, capacity: u32, tools: usize) -> Bytes {
    let (t, uptime) = (seconds(at_us), uptime(uptime_s));
    format!(
        "{{\"op\":\"health_res\",\"ok\":true,\"health\":{{\"t\":{t},\"uptime_human\":\"{uptime}\",\
         \"sessions\":{sessions},\"global_capacity\":{capacity},\"tool_count\":{tools}}}}}"
    )
    .into()
}

/// The call was taken. The client waits at least for as long as a call may take.
pub(super) fn taken(call: &Caption) -> Bytes {
    format!(
        "{{\"op\":\"call_tool_ack\",\"request_id\":{},\"accepted\":true,\"timeout\":{},\"name\":{}}}",
        call.request_id(),
        CALL_TOTAL_TIMEOUT.as_secs(),
        json::quote(&call.name)
    )
    .into()
}

/// The call is under way. `at_us` is the time in microseconds since 1970.
pub(super) fn progress(call: &Caption, at_us: i64, note: Option<&str>) -> Bytes {
    let mut text = format!(
        "{{\"op\":\"progress\",\"request_id\":{},\"name\":{},\"t\":{}",
        call.request_id(),
        json::quote(&call.name),
        seconds(at_us)
    );
    if let Some(note) = note {
        let _ = write!(text, ",\"note\":{}", json::quote(&limits::cut(note, MAX_NOTE_CHARS)));
    }
    text.push('}');
    text.into()
}

/// The call has failed before a tool has answered. `more` are further members of the error.
pub(super) fn failed(call: &Caption, code: &str, message: &str, more: &str) -> Bytes {
    format!(
        "{{\"op\":\"call_tool_res\",\"request_id\":{},\"error\":{{\"code\":\"{code}\",\"message\":{}{more}}}}}",
        call.request_id(),
        json::quote(message)
    )
    .into()
}

/// The call has failed since too much is under way.
pub(super) fn over_capacity(call: &Caption, message: &str) -> Bytes {
    failed(call, "OVER_CAPACITY", message, ",\"retry_after\":1")
}

/// Seconds since 1970 as JSON writes them.
fn seconds(at_us: i64) -> String {
    format!("{}.{:06}", at_us.div_euclid(1_000_000), at_us.rem_euclid(1_000_000))
}

/// A time as Python writes it: `1 day, 2:03:04`.
fn uptime(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60);
    match days {
        0 => time,
        1 => format!("1 day, {time}"),
        days => format!("{days} days, {time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(frame: &Bytes) -> Value {
        serde_json::from_slice(frame).expect("JSON")
    }

    #[test]
    fn the_frames_have_the_members_of_the_origin() {
        let call = Caption { name: "a\"b".to_owned(), request_id: Some(br#""id""#.as_slice().into()) };
        let nameless = Caption { name: "x".to_owned(), request_id: None };
        let cases = [
            (welcome("s"), json!({"op": "hello_ack", "ok": true, "session_id": "s"})),
            (no_welcome("unauthorized"), json!({"op": "hello_ack", "ok": false, "error": "unauthorized"})),
            (error("invalid_json"), json!({"op": "error", "message": "invalid_json"})),
            (
                taken(&call),
                json!({"op": "call_tool_ack", "request_id": "id", "accepted": true, "timeout": 3600, "name": "a\"b"}),
            ),
            (
                progress(&call, 1_500_000, Some("half")),
                json!({"op": "progress", "request_id": "id", "name": "a\"b", "t": 1.5, "note": "half"}),
            ),
            (
                progress(&nameless, 2_000_250, None),
                json!({"op": "progress", "request_id": null, "name": "x", "t": 2.000_25}),
            ),
            (
                over_capacity(&call, "no"),
                json!({"op": "call_tool_res", "request_id": "id",
                       "error": {"code": "OVER_CAPACITY", "message": "no", "retry_after": 1}}),
            ),
            (
                token_stays("missing_params"),
                json!({"op": "rotate_token_res", "ok": false, "error": "missing_params"}),
            ),
            (
                health(1_000_000, 93_784, 2, 1024, 3),
                json!({"op": "health_res", "ok": true, "health": {"t": 1.0, "uptime_human": "1 day, 2:03:04",
                       "sessions": 2, "global_capacity": 1024, "tool_count": 3}}),
            ),
        ];
        for (frame, expected) in cases {
            assert_eq!(read(&frame), expected);
        }
        let note = "x".repeat(10_000);
        assert!(progress(&call, 0, Some(&note)).len() < 1200, "a note has a bound");
        assert_eq!((uptime(59), uptime(2 * 86_400)), ("0:00:59".to_owned(), "2 days, 0:00:00".to_owned()));
    }
}
