//! What a server answered to `initialize`.

use bytes::Bytes;

use crate::types::list_kind::ListKind;

/// What a server answered to `initialize`.
#[derive(Debug, Clone)]
pub(crate) struct InitializeResult {
    /// The result, as the server wrote it.
    pub(crate) result: Bytes,
    /// The protocol revision the server chose.
    pub(crate) version: String,
    pub(crate) capabilities: ServerCapabilities,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerCapabilities {
    pub(crate) tools: Offer,
    pub(crate) prompts: Offer,
    pub(crate) resources: Offer,
    pub(crate) logging: bool,
}

/// Whether a server has lists of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Offer {
    #[default]
    Nothing,
    /// The server has such lists, and does not say when they change.
    Lists,
    /// The server has such lists, and announces changes (`listChanged`).
    Announced,
}

impl InitializeResult {
    /// What the server offers of this kind.
    pub(crate) fn offer(&self, kind: ListKind) -> Offer {
        match kind {
            ListKind::Tools => self.capabilities.tools,
            ListKind::Prompts => self.capabilities.prompts,
            ListKind::Resources | ListKind::Templates => self.capabilities.resources,
        }
    }
}
