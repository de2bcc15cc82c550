//! What the methods of MCP mean to a shim.

use super::era::Era;
use super::lists::List;
use crate::peek::{self, Peeked};

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// `initialize`.
    Initialize,
    /// `server/discover`.
    Discover,
    /// Asks for a list.
    List(List),
    /// Another method that changes nothing, so that it can be sent twice.
    Harmless,
    /// `tools/call`. Whether it can be sent twice depends on the tool.
    Call,
    Level,
    Subscribe,
    Unsubscribe,
    /// `subscriptions/listen`.
    Listen,
    /// Any other method, known or not: it may change something.
    Other,
}

impl Method {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"initialize" => Method::Initialize,
            b"server/discover" => Method::Discover,
            b"tools/list" => Method::List(List::Tools),
            b"prompts/list" => Method::List(List::Prompts),
            b"resources/list" | b"resources/templates/list" => Method::List(List::Resources),
            b"resources/read" | b"prompts/get" | b"completion/complete" | b"ping" | b"tasks/get" => {
                Method::Harmless
            }
            b"tools/call" => Method::Call,
            b"logging/setLevel" => Method::Level,
            b"resources/subscribe" => Method::Subscribe,
            b"resources/unsubscribe" => Method::Unsubscribe,
            b"subscriptions/listen" => Method::Listen,
            _ => Method::Other,
        }
    }
}

/// Whether the line holds a request.
pub(super) fn asks(line: &[u8]) -> bool {
    let mut found = false;
    peek::peek_each(line, |_, peeked| found |= matches!(peeked, Peeked::Request { .. }));
    found
}

/// Whether this request is a listen, which stays open. The legacy era has none.
pub(super) fn is_listen(request: &[u8], method: &[u8]) -> bool {
    Method::of(method) == Method::Listen && Era::of(request) == Era::Modern
}

/// Whether the line asks for something to be done. Such a request starts a daemon again even after `exai stop`.
pub(super) fn starts_again(line: &[u8]) -> bool {
    let mut found = false;
    peek::peek_each(line, |_, peeked| {
        if let Peeked::Request { method, .. } = peeked {
            let method = peek::method_name(line, method);
            found |= matches!(
                &*method,
                b"tools/call" | b"resources/read" | b"prompts/get" | b"completion/complete"
            );
        }
    });
    found
}
