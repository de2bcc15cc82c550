//! What a server answered to `initialize`.

use bytes::Bytes;
use exai_proto::{json, limits};

use crate::types::list_kind::ListKind;

/// What `initialize` told.
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

/// Whether a server has lists of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Offer {
    #[default]
    Nothing,
    /// It has, and does not say when they change.
    Lists,
    /// It has, and announces changes (`listChanged`).
    Announced,
}

impl InitializeResult {
    /// What it offers of this kind.
    pub(crate) fn offer(&self, kind: ListKind) -> Offer {
        match kind {
            ListKind::Tools => self.capabilities.tools,
            ListKind::Prompts => self.capabilities.prompts,
            ListKind::Resources | ListKind::Templates => self.capabilities.resources,
        }
    }

    pub(crate) fn of(result: Bytes) -> Option<Self> {
        let whole = 0..result.len();
        let version = json::string(&result, json::find(&result, whole.clone(), "protocolVersion")?)?;
        let version = limits::cut(&version, limits::NAME_CHARS);
        let find = |path: &[&str]| json::find_path(&result, whole.clone(), path);
        let offer = |name| match find(&["capabilities", name]) {
            None => Offer::Nothing,
            Some(_) => match find(&["capabilities", name, "listChanged"]) {
                Some(announced) if &result[announced.clone()] == b"true" => Offer::Announced,
                _ => Offer::Lists,
            },
        };
        let capabilities = ServerCapabilities {
            tools: offer("tools"),
            prompts: offer("prompts"),
            resources: offer("resources"),
            logging: find(&["capabilities", "logging"]).is_some(),
        };
        Some(InitializeResult { result, version, capabilities })
    }
}
