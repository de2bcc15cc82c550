//! Which tools may be called a second time when the answer to the first call was lost.
//!
//! Those are tools that their server declares read-only or idempotent, if the configuration trusts its word
//! (`ToolAnnotations` of the specification: hints, to be believed of trusted servers only). Whoever keeps a client's
//! link is told of them; names are never interpreted.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use exai_proto::json;

use crate::event::{ClientId, Effect, Endpoint};
use crate::names;
use crate::router::{Now, Router, Server};

/// Whether a tool, as it is listed, may be called twice. A tool that claims to be read-only and destructive has not
/// thought about it, and may not.
pub(crate) fn may_be(tool: &[u8], place: Range<usize>) -> bool {
    let Some(hints) = json::find(tool, place, "annotations") else { return false };
    let hint = |name| json::find(tool, hints.clone(), name).is_some_and(|at| &tool[at] == b"true");
    let contradicts = hint("readOnlyHint") && hint("destructiveHint");
    (hint("readOnlyHint") || hint("idempotentHint")) && !contradicts
}

impl Server {
    /// The whole list of tools is known. Returns whether others may be repeated than before.
    pub(crate) fn learn_repeatable(&mut self, tools: &[Bytes]) -> bool {
        let name = |tool: &Bytes| crate::catalogue::member(tool, "name");
        let found = tools.iter().filter(|tool| may_be(tool, 0..tool.len())).filter_map(name).collect();
        let before = std::mem::replace(&mut self.repeatable, found);
        before != self.repeatable
    }

    fn offers_twice(&self) -> impl Iterator<Item = &String> {
        let trusted = self.policy.trusted;
        self.repeatable.iter().filter(move |tool| trusted && self.policy.tools.allows(tool))
    }
}

impl Router {
    /// Tells a client's link what may be repeated, if that is not what it was told last.
    pub(crate) fn tell_repeatable(&mut self, client_id: ClientId, now: &mut Now<'_>) {
        let Some(client) = self.clients.get(&client_id) else { return };
        let tools: BTreeSet<String> = match &client.endpoint {
            Endpoint::One(name) => {
                self.server(name).into_iter().flat_map(|server| server.offers_twice().cloned()).collect()
            }
            Endpoint::All => {
                let named = |server: &Server, tool: &String| names::aggregated(&server.policy.name, tool);
                let all = self.servers.iter();
                all.flat_map(|server| server.offers_twice().map(move |tool| named(server, tool))).collect()
            }
        };
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        if client.repeatable != tools {
            now.effects
                .push(Effect::Repeatable { client: client_id, tools: tools.iter().cloned().collect() });
            client.repeatable = tools;
        }
    }

    /// The same for everybody who can call this server's tools.
    pub(crate) fn tell_all_repeatable(&mut self, server: &Arc<str>, now: &mut Now<'_>) {
        let concerned = |endpoint: &Endpoint| match endpoint {
            Endpoint::All => true,
            Endpoint::One(name) => name == server,
        };
        for client in self.all_clients() {
            if self.clients.get(&client).is_some_and(|client| concerned(&client.endpoint)) {
                self.tell_repeatable(client, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::may_be;

    #[test]
    fn only_a_plain_word_counts() {
        let may = |hints: &str| {
            let tool = format!("{{\"name\":\"get_or_create\",\"annotations\":{hints}}}");
            may_be(tool.as_bytes(), 0..tool.len())
        };
        assert!(may(r#"{"readOnlyHint":true}"#));
        assert!(may(r#"{"idempotentHint":true,"destructiveHint":true}"#));
        assert!(may(r#"{"readOnlyHint":true,"destructiveHint":false}"#));
        assert!(!may(r#"{"readOnlyHint":true,"destructiveHint":true}"#));
        assert!(!may(r#"{"readOnlyHint":false,"idempotentHint":false}"#));
        assert!(!may(r#"{"readOnlyHint":"true"}"#) && !may("{}") && !may("null") && !may("[]"));
        let bare = br#"{"name":"read_file"}"#;
        assert!(!may_be(bare, 0..bare.len()), "a name says nothing");
    }
}
