//! What a successful answer to a call means for the router.

use exai_proto::Message;

use crate::types::list_kind::ListKind;
use crate::types::log_level::LogLevel;

/// What the router must do when a request of a client succeeds.
#[derive(Debug, Clone)]
pub(crate) enum OnSuccess {
    Nothing,
    Call {
        tool: Box<str>,
    },
    /// Learn from a list, from its first page on or a later one. `as_of` is the number of changes that the server had
    /// announced: see [`crate::server::catalogue::Catalogue`].
    List {
        kind: ListKind,
        first: bool,
        as_of: u64,
    },
    /// Nothing; but if the server does not have the resource, read it elsewhere.
    ResourceRead(Box<ResourceRead>),
    SetLevel(LogLevel),
    Subscribe(String),
    Unsubscribe(String),
}

/// What is needed to read a resource elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct ResourceRead {
    pub(crate) uri: String,
    pub(crate) message: Message,
}

pub(crate) fn called_tool(on_success: &OnSuccess) -> Option<&str> {
    match on_success {
        OnSuccess::Call { tool } => Some(tool),
        OnSuccess::Nothing
        | OnSuccess::List { .. }
        | OnSuccess::ResourceRead(_)
        | OnSuccess::SetLevel(_)
        | OnSuccess::Subscribe(_)
        | OnSuccess::Unsubscribe(_) => None,
    }
}
