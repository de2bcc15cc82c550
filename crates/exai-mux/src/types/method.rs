//! What a request asks for.

use crate::types::list_kind::ListKind;

/// What a request of a client asks for, whatever the dialect calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Ping,
    /// The first request of a client that may speak a newer dialect.
    Discover,
    /// The client introduces itself, and begins a session.
    Initialize,
    CallTool,
    GetPrompt,
    ReadResource,
    Complete,
    SetLogLevel,
    Subscribe,
    Unsubscribe,
    /// The client wants to hear of changes (modern era).
    Listen,
    List(ListKind),
    /// A method that exai does not know.
    Other,
}
