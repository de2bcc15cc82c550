//! The eras of MCP: the legacy one, in which a session begins with `initialize`, and the modern one (since 2026-07-28),
//! in which each request says its version itself. A client may use both at once.

use exai_proto::modern::PROTOCOL_VERSION;

use crate::peek;

/// The era of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

impl Era {
    /// The era of this request, whatever was said before it.
    pub(super) fn of(request: &[u8]) -> Self {
        match peek::find_path(request, 0, &["params", "_meta", PROTOCOL_VERSION]) {
            Some(_) => Era::Modern,
            None => Era::Legacy,
        }
    }
}
