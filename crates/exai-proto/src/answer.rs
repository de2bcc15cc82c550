//! The few messages exai writes itself: answers, errors and notifications.
//!
//! Error codes lie outside the range that JSON-RPC and MCP reserve (-32768..-32000), so that no client takes an error
//! of exai for one of the server.

use bytes::Bytes;
use serde::Serialize;

use crate::envelope::Id;

/// Why exai, not the server, answers with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// -31001: the daemon could not be reached; nothing was sent.
    DaemonUnavailable,
    /// -31002: the link was lost after the request was sent; it may have been carried out.
    OutcomeUnknown,
    /// -31003: too much is under way; nothing was sent.
    Overloaded,
    /// -31004: no answer in time; the request was cancelled and may have been carried out.
    TimedOut,
    /// -31005: the server died while it worked on the request.
    ServerCrashed,
    /// -31006: the server is not there: unknown, not startable, or still failing. Nothing was sent.
    ServerUnavailable,
    /// -31007: the request is too large; nothing was sent.
    RequestTooLarge,
    /// -31007: the answer is too large to be passed on.
    AnswerTooLarge,
    /// -31008: a policy forbids it; nothing was sent.
    Blocked,
}

impl Failure {
    /// The JSON-RPC error code.
    pub fn code(self) -> i32 {
        match self {
            Failure::DaemonUnavailable => -31001,
            Failure::OutcomeUnknown => -31002,
            Failure::Overloaded => -31003,
            Failure::TimedOut => -31004,
            Failure::ServerCrashed => -31005,
            Failure::ServerUnavailable => -31006,
            Failure::RequestTooLarge | Failure::AnswerTooLarge => -31007,
            Failure::Blocked => -31008,
        }
    }

    /// Whether the request had reached the server.
    pub fn sent(self) -> bool {
        match self {
            Failure::OutcomeUnknown
            | Failure::TimedOut
            | Failure::ServerCrashed
            | Failure::AnswerTooLarge => true,
            Failure::DaemonUnavailable
            | Failure::Overloaded
            | Failure::ServerUnavailable
            | Failure::RequestTooLarge
            | Failure::Blocked => false,
        }
    }

    /// Whether sending the same request again can do no harm.
    pub fn retry_safe(self) -> bool {
        match self {
            Failure::DaemonUnavailable | Failure::Overloaded | Failure::ServerUnavailable => true,
            Failure::OutcomeUnknown
            | Failure::TimedOut
            | Failure::ServerCrashed
            | Failure::RequestTooLarge
            | Failure::AnswerTooLarge
            | Failure::Blocked => false,
        }
    }
}

/// Which part of exai answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Source {
    /// The shim, for its client.
    #[serde(rename = "exai-shim")]
    Shim,
    /// The daemon.
    #[serde(rename = "exai-daemon")]
    Daemon,
}

/// `error.data` of every error exai writes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureData<'a> {
    /// Which part of exai answers.
    pub source: Source,
    /// The failure's name.
    pub kind: Failure,
    /// Whether the request had reached the server.
    pub sent: bool,
    /// Whether sending it again can do no harm.
    pub retry_safe: bool,
    /// The server's name, if one is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'a str>,
    /// The tool's name, if one is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<&'a str>,
    /// What the reader can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// The last lines the server wrote to stderr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_tail: Option<&'a str>,
}

impl FailureData<'_> {
    /// The data that follow from the failure itself.
    pub fn new(source: Source, kind: Failure) -> Self {
        FailureData {
            source,
            kind,
            sent: kind.sent(),
            retry_safe: kind.retry_safe(),
            server: None,
            tool: None,
            hint: None,
            stderr_tail: None,
        }
    }
}

/// An answer with an error of exai's own.
pub fn failure(id: &Id, message: &str, data: &FailureData<'_>) -> Bytes {
    let text = serde_json::to_string(data).unwrap_or_default();
    answer(id, &format!("\"error\":{},\"data\":{text}}}", error_start(data.kind.code(), message)))
}

/// An answer with one of JSON-RPC's own errors (-32700, -32600, -32601, -32602, -32603).
pub fn error(id: &Id, code: i32, message: &str) -> Bytes {
    answer(id, &format!("\"error\":{}}}", error_start(code, message)))
}

/// An answer with an error that JSON-RPC or MCP defines, with `data` as JSON text.
pub fn error_with_data(id: &Id, code: i32, message: &str, data: &str) -> Bytes {
    answer(id, &format!("\"error\":{},\"data\":{data}}}", error_start(code, message)))
}

/// The error of the legacy era that wants the user to open an address first (2025-11-25, elicitation).
pub const URL_ELICITATION_REQUIRED: i32 = -32042;

/// The parameters of a question to open an address, as JSON text: `message` says why.
pub fn write_url_elicitation(page: &str, message: &str) -> String {
    let (page, message) = (crate::json::quote(page), crate::json::quote(message));
    format!("{{\"mode\":\"url\",\"url\":{page},\"message\":{message}}}")
}

/// `data.kind` of an error with which exai itself asks a user to open a page: to sign in at a server.
pub const SIGN_IN_KIND: &str = "sign_in";

/// An answer that wants the user to sign in on a page first. The same page has the same elicitation id.
pub fn url_elicitation_required(id: &Id, page: &str, message: &str) -> Bytes {
    let elicitation = format!("{{\"elicitationId\":\"{:016x}\",", crate::fnv1a::fnv1a(page.as_bytes()));
    let elicitation = write_url_elicitation(page, message).replacen('{', &elicitation, 1);
    let data = format!("{{\"elicitations\":[{elicitation}],\"kind\":\"{SIGN_IN_KIND}\"}}");
    error_with_data(id, URL_ELICITATION_REQUIRED, message, &data)
}

/// The capabilities of the endpoint of all servers, whatever its servers can do. The daemon announces them, and so
/// does a shim that finds no daemon.
pub fn capabilities_of_all() -> serde_json::Value {
    serde_json::json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
        "logging": {},
        "completions": {},
    })
}

/// An answer whose result is this JSON text.
pub fn result(id: &Id, result: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(result.len() + id.as_json().len() + 40);
    text.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    text.extend_from_slice(id.as_json());
    text.extend_from_slice(b",\"result\":");
    text.extend_from_slice(result);
    text.push(b'}');
    text.into()
}

/// A notification without parameters.
pub fn notification(method: &str) -> Bytes {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\"}}").into()
}

/// A request with parameters given as JSON text.
pub fn request(id: u64, method: &str, params: &str) -> Bytes {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}").into()
}

/// A notification with parameters given as JSON text.
pub fn notify(method: &str, params: &str) -> Bytes {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}}}").into()
}

fn error_start(code: i32, message: &str) -> String {
    format!("{{\"code\":{code},\"message\":{}", crate::json::quote(message))
}

fn answer(id: &Id, member: &str) -> Bytes {
    let id = String::from_utf8_lossy(id.as_json());
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{member}}}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_json_and_says_what_the_codes_promise() {
        let data = FailureData {
            server: Some("files"),
            stderr_tail: Some("boom \"quoted\"\n"),
            ..FailureData::new(Source::Daemon, Failure::ServerCrashed)
        };
        let text = failure(&Id::from_json(b"\"a\""), "it died", &data);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let expected = json!({"jsonrpc":"2.0","id":"a","error":{"code":-31005,"message":"it died","data":{
            "source":"exai-daemon","kind":"server_crashed","sent":true,"retrySafe":false,"server":"files",
            "stderrTail":"boom \"quoted\"\n"}}});
        assert_eq!(value, expected);
        for text in [
            result(&Id::number(1), b"{}"),
            error(&Id::null(), -32700, "x"),
            notification("a/b"),
            notify("a/b", "{}"),
            request(3, "ping", "{}"),
        ] {
            assert!(crate::Message::parse(text).is_ok());
        }
    }
}
