//! What the transport must know of a request that is sent.

use bytes::Bytes;
use exai_proto::modern::PROTOCOL_VERSION;
use exai_proto::request_metadata::{METHOD, NAME, VERSION, encode, named_by};
use exai_proto::{Message, json};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// A request.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) asked: Asked,
    pub(super) body: Bytes,
    /// What its headers repeat of its body. Empty in the legacy era.
    pub(super) headers: HeaderMap,
}

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) role: Role,
}

/// What a request is in its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It begins a session of the legacy era.
    Initialize,
    /// Any other request of that era: it belongs to a session.
    Legacy,
    /// It asks the server to introduce itself in the modern era.
    Discover,
    /// `subscriptions/listen`, whose answer is a stream of notifications.
    Listen,
    /// `tools/list`, of the modern era: its answer says which arguments a call repeats in headers.
    ListTools,
    /// `tools/call`, of the modern era.
    CallTool,
    /// Any other request of the modern era: it stands for itself.
    Modern,
}

impl Role {
    /// Whether a request of this role is of the modern era, which has no sessions.
    pub(super) fn is_modern(self) -> bool {
        match self {
            Role::Initialize | Role::Legacy => false,
            Role::Discover | Role::Listen | Role::ListTools | Role::CallTool | Role::Modern => true,
        }
    }
}

impl Outgoing {
    /// Reads a request that the router has written. `None` if it has no number.
    pub(super) fn read(body: Bytes) -> Option<Self> {
        let id = json::find(&body, 0..body.len(), "id")?;
        let number = std::str::from_utf8(&body[id]).ok()?.parse().ok()?;
        let method = json::find(&body, 0..body.len(), "method").and_then(|at| json::string(&body, at))?;
        let is_modern = || {
            json::find_path(&body, 0..body.len(), &["params", "_meta", PROTOCOL_VERSION])
                .and_then(|at| json::string(&body, at))
        };
        let (role, headers) = match (&*method, is_modern()) {
            ("initialize", _) => (Role::Initialize, HeaderMap::new()),
            (_, None) => (Role::Legacy, HeaderMap::new()),
            (method, Some(version)) => {
                let role = match method {
                    "server/discover" => Role::Discover,
                    "subscriptions/listen" => Role::Listen,
                    "tools/list" => Role::ListTools,
                    "tools/call" => Role::CallTool,
                    _ => Role::Modern,
                };
                (role, repeat_in_headers(&body, method, &version))
            }
        };
        Some(Outgoing { asked: Asked { number, role }, body, headers })
    }
}

/// What the headers of a request of the modern era repeat.
fn repeat_in_headers(body: &Bytes, method: &str, version: &str) -> HeaderMap {
    let request = Message::parse(body.clone()).ok();
    // A request that can be read in two ways does not come this far.
    let named = request.and_then(|request| named_by(&request).ok().flatten());
    let mut headers = HeaderMap::new();
    for (name, value) in [(VERSION, Some(version)), (METHOD, Some(method)), (NAME, named.as_deref())] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&encode(value)).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_method_and_its_revision() {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        for (method, params, role, name) in [
            ("initialize", "", Role::Initialize, None),
            ("tools/call", r#""name":"t""#, Role::Legacy, None),
            ("server/discover", meta, Role::Discover, None),
            ("subscriptions/listen", meta, Role::Listen, None),
            ("tools/list", meta, Role::ListTools, None),
            ("tools/call", &format!(r#""name":"ä",{meta}"#), Role::CallTool, Some("=?base64?w6Q=?=")),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":5,"method":"{method}","params":{{{params}}}}}"#);
            let outgoing = Outgoing::read(text.into()).expect("a request");
            assert_eq!(outgoing.asked, Asked { number: 5, role });
            let said = |header| outgoing.headers.get(header).map(|value| value.to_str().expect("text"));
            assert_eq!(said(METHOD), role.is_modern().then_some(method));
            assert_eq!(said(VERSION), role.is_modern().then_some("2026-07-28"));
            assert_eq!(said(NAME), name);
        }
        assert!(Outgoing::read(Bytes::from_static(br#"{"jsonrpc":"2.0","method":"m"}"#)).is_none());
    }
}
