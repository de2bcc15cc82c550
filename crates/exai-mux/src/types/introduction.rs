//! What a server said of itself: its answer to `initialize` or to `server/discover`.

use bytes::Bytes;

use crate::types::era::Era;
use crate::types::list_kind::ListKind;

/// What a server said of itself: its answer to `initialize` or to `server/discover`.
#[derive(Debug, Clone)]
pub(crate) struct Introduction {
    pub(crate) era: Era,
    /// The result, as the server wrote it.
    pub(crate) result: Bytes,
    /// The protocol revision that the server and exai speak.
    pub(crate) version: String,
    pub(crate) capabilities: ServerCapabilities,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerCapabilities {
    pub(crate) tools: Offer,
    pub(crate) prompts: Offer,
    pub(crate) resources: Offer,
    /// Whether clients may subscribe to resources.
    pub(crate) subscriptions: bool,
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

impl Introduction {
    /// What the server offers of this kind.
    pub(crate) fn offer(&self, kind: ListKind) -> Offer {
        match kind {
            ListKind::Tools => self.capabilities.tools,
            ListKind::Prompts => self.capabilities.prompts,
            ListKind::Resources | ListKind::Templates => self.capabilities.resources,
        }
    }
}
