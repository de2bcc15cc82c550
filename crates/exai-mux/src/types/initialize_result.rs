//! What a server answered to `initialize`.

use bytes::Bytes;
use exai_proto::{json, limits};

use crate::types::list_kind::Kind;

/// What `initialize` told.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// The result, as the server wrote it.
    pub(crate) result: Bytes,
    /// The protocol revision the server chose.
    pub(crate) version: String,
    pub(crate) capabilities: Capabilities,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capabilities {
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

impl Ready {
    /// What it offers of this kind.
    pub(crate) fn offer(&self, kind: Kind) -> Offer {
        match kind {
            Kind::Tools => self.capabilities.tools,
            Kind::Prompts => self.capabilities.prompts,
            Kind::Resources | Kind::Templates => self.capabilities.resources,
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
        let capabilities = Capabilities {
            tools: offer("tools"),
            prompts: offer("prompts"),
            resources: offer("resources"),
            logging: find(&["capabilities", "logging"]).is_some(),
        };
        Some(Ready { result, version, capabilities })
    }
}
