//! The kinds of lists, and what the messages of both eras of MCP call them.

/// A kind of list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Tools,
    Prompts,
    Resources,
}

/// The names of a kind of list.
#[derive(Debug)]
pub(super) struct ListNames {
    pub(super) list: List,
    /// Its capability in the legacy era.
    pub(super) capability: &'static str,
    /// Its key in the filter of a `subscriptions/listen`.
    pub(super) filter: &'static str,
    /// The notification of its changes, in both eras.
    pub(super) changed: &'static str,
}

pub(super) const LISTS: [ListNames; 3] = [
    ListNames {
        list: List::Tools,
        capability: "tools",
        filter: "toolsListChanged",
        changed: "notifications/tools/list_changed",
    },
    ListNames {
        list: List::Prompts,
        capability: "prompts",
        filter: "promptsListChanged",
        changed: "notifications/prompts/list_changed",
    },
    ListNames {
        list: List::Resources,
        capability: "resources",
        filter: "resourcesListChanged",
        changed: "notifications/resources/list_changed",
    },
];
