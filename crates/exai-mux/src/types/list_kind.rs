//! The lists of MCP.

use std::ops::Range;

use bytes::Bytes;
use exai_proto::json;

/// The four lists of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Tools, Kind::Prompts, Kind::Resources, Kind::Templates];

/// Those with a notification of their own that they have changed: that of the resources is for templates as well.
pub(crate) const CHANGING: [Kind; 3] = [Kind::Tools, Kind::Prompts, Kind::Resources];

impl Kind {
    pub(crate) fn of_method(method: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.method() == method)
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Kind::Tools => "tools/list",
            Kind::Prompts => "prompts/list",
            Kind::Resources => "resources/list",
            Kind::Templates => "resources/templates/list",
        }
    }

    /// The key of the list in its result.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Kind::Tools => "tools",
            Kind::Prompts => "prompts",
            Kind::Resources => "resources",
            Kind::Templates => "resourceTemplates",
        }
    }

    /// The lists that a change of this one is announced for.
    pub(crate) fn announced(self) -> &'static [Kind] {
        match self {
            Kind::Tools => &[Kind::Tools],
            Kind::Prompts => &[Kind::Prompts],
            Kind::Resources | Kind::Templates => &[Kind::Resources, Kind::Templates],
        }
    }

    /// The list whose changes stand for those of this one.
    pub(crate) fn announced_as(self) -> Kind {
        if self == Kind::Templates { Kind::Resources } else { self }
    }

    /// What tells clients that the list has changed.
    pub(crate) fn changed(self) -> &'static str {
        match self {
            Kind::Tools => "notifications/tools/list_changed",
            Kind::Prompts => "notifications/prompts/list_changed",
            Kind::Resources | Kind::Templates => "notifications/resources/list_changed",
        }
    }
}

/// The text of a string member of a list item.
pub(crate) fn text_member(item: &Bytes, key: &str) -> Option<String> {
    let place = json::find(item, 0..item.len(), key)?;
    json::string(item, place).map(std::borrow::Cow::into_owned)
}

pub(crate) fn member_place(item: &Bytes, key: &str) -> Option<Range<usize>> {
    json::find(item, 0..item.len(), key)
}
