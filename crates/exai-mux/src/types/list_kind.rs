//! The lists of MCP.

use std::ops::Range;

use bytes::Bytes;
use exai_proto::json;

/// The four lists of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

pub(crate) const LIST_KINDS: [ListKind; 4] =
    [ListKind::Tools, ListKind::Prompts, ListKind::Resources, ListKind::Templates];

/// The lists whose changes have a notification of their own. The notification of resources stands for templates as
/// well.
pub(crate) const ANNOUNCED_LIST_KINDS: [ListKind; 3] =
    [ListKind::Tools, ListKind::Prompts, ListKind::Resources];

impl ListKind {
    pub(crate) fn of_method(method: &str) -> Option<Self> {
        LIST_KINDS.into_iter().find(|kind| kind.method() == method)
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            ListKind::Tools => "tools/list",
            ListKind::Prompts => "prompts/list",
            ListKind::Resources => "resources/list",
            ListKind::Templates => "resources/templates/list",
        }
    }

    /// The key of the list in its result.
    pub(crate) fn key(self) -> &'static str {
        match self {
            ListKind::Tools => "tools",
            ListKind::Prompts => "prompts",
            ListKind::Resources => "resources",
            ListKind::Templates => "resourceTemplates",
        }
    }

    /// The key under which an item of the list has its name, or its address.
    pub(crate) fn item_key(self) -> &'static str {
        match self {
            ListKind::Tools | ListKind::Prompts => "name",
            ListKind::Resources => "uri",
            ListKind::Templates => "uriTemplate",
        }
    }

    /// The lists that the notification for this one stands for.
    pub(crate) fn announced(self) -> &'static [ListKind] {
        match self {
            ListKind::Tools => &[ListKind::Tools],
            ListKind::Prompts => &[ListKind::Prompts],
            ListKind::Resources | ListKind::Templates => &[ListKind::Resources, ListKind::Templates],
        }
    }

    /// The list whose notification stands for this one.
    pub(crate) fn announced_as(self) -> ListKind {
        if self == ListKind::Templates { ListKind::Resources } else { self }
    }

    /// The method of the notification that the list has changed.
    pub(crate) fn changed(self) -> &'static str {
        match self {
            ListKind::Tools => "notifications/tools/list_changed",
            ListKind::Prompts => "notifications/prompts/list_changed",
            ListKind::Resources | ListKind::Templates => "notifications/resources/list_changed",
        }
    }
}

/// The text of a string member of a list item.
pub(crate) fn string_member(item: &Bytes, key: &str) -> Option<String> {
    let place = json::find(item, 0..item.len(), key)?;
    json::string(item, place).map(std::borrow::Cow::into_owned)
}

pub(crate) fn member_place(item: &Bytes, key: &str) -> Option<Range<usize>> {
    json::find(item, 0..item.len(), key)
}
