//! One open `subscriptions/listen` of a client: what the client wants to hear of.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::{Id, answer, json};

use crate::dialect::bridge::subscription_meta;
use crate::types::list_kind::ListKind;

/// One open `subscriptions/listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    /// The id of the request. Each notification names it.
    pub(crate) id: Id,
    /// The lists whose changes the client wants to hear of, as they are announced.
    pub(crate) lists: Vec<ListKind>,
    /// The resources, each with its server.
    pub(crate) resources: Vec<(Arc<str>, String)>,
    /// The members of the filter that exai does not know, as JSON text, if the server may know them: see
    /// [`crate::handlers::listen_relays`].
    pub(crate) relayed: Option<String>,
    /// Until when the server may say what it honours of the members that exai does not know. `None` once the client was
    /// told what of the filter is honoured. Before that it is told nothing.
    pub(crate) server_may_say_until: Option<Instant>,
}

/// The members of a filter that exai knows.
pub(crate) const KNOWN_FILTER_KEYS: [&str; 4] =
    ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"];

/// The member of the filter for the changes of a list.
pub(crate) fn filter_key(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools => "toolsListChanged",
        ListKind::Prompts => "promptsListChanged",
        ListKind::Resources | ListKind::Templates => "resourcesListChanged",
    }
}

/// Writes the members of a filter for the changes of these lists and resources.
pub(crate) fn write_filter<'a>(
    lists: impl IntoIterator<Item = ListKind>,
    uris: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut members: Vec<String> =
        lists.into_iter().map(|kind| format!("\"{}\":true", filter_key(kind))).collect();
    let uris: Vec<String> = uris.into_iter().map(json::quote).collect();
    if !uris.is_empty() {
        members.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
    }
    members
}

impl Listen {
    /// Whether the client was told what of the filter is honoured.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.server_may_say_until.is_none()
    }

    /// Whether the client wants to hear of changes of this list.
    pub(crate) fn has_list(&self, kind: ListKind) -> bool {
        self.is_acknowledged() && self.lists.contains(&kind.announced_as())
    }

    /// Writes what of the filter is honoured. `more` is what the server has said of the members that exai does not know,
    /// as JSON text.
    pub(crate) fn write_acknowledgement(&self, more: &str) -> Bytes {
        let uris = self.resources.iter().map(|(_, uri)| &**uri);
        let mut honoured = write_filter(self.lists.iter().copied(), uris);
        if !more.is_empty() {
            honoured.push(more.to_owned());
        }
        let meta = subscription_meta(self.id.as_json());
        let params = format!("{{\"notifications\":{{{}}},{meta}}}", honoured.join(","));
        answer::notify("notifications/subscriptions/acknowledged", &params)
    }
}
