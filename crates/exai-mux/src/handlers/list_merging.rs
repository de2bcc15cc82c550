//! The lists of all servers, merged into one.

use std::collections::BTreeSet;

use exai_proto::json::{self, Edit};

use crate::router::Router;
use crate::types::era::Era;
use crate::types::ids::ClientId;
use crate::types::list_kind::{ListKind, member_place, string_member};
use crate::types::names;

impl Router {
    /// Merges a list of all servers that a client may see, as clients of an era see it, with aggregated names. If two servers have the same name or URI, the first
    /// server of the configuration has it.
    pub(crate) fn merge_lists(&self, client: ClientId, era: Era, kind: ListKind) -> Vec<u8> {
        let mut taken = BTreeSet::new();
        let mut merged = format!("{{\"{}\":[", kind.key()).into_bytes();
        let client = self.clients.get(client);
        for (server, client) in client
            .into_iter()
            .flat_map(|client| self.servers.iter_seen(client).map(move |server| (server, client)))
        {
            for item in server.offering_for(era).catalogue.list(kind).unwrap_or_default() {
                let named = match kind {
                    ListKind::Tools | ListKind::Prompts => {
                        let Some(name) = member_place(item, kind.item_key()) else { continue };
                        let Some(text) = json::string(item, name.clone()) else { continue };
                        if kind == ListKind::Tools && !server.offers_tool(client, &text) {
                            continue;
                        }
                        let aggregated = names::aggregated(&server.policy.name, &text);
                        let with = json::quote(&aggregated).into_bytes();
                        (aggregated, json::splice(item, vec![Edit { at: name, with }]))
                    }
                    ListKind::Resources | ListKind::Templates => {
                        let Some(uri) = string_member(item, kind.item_key()) else { continue };
                        (uri, item.to_vec())
                    }
                };
                let (name, text) = named;
                if !taken.insert(name) {
                    continue;
                }
                if taken.len() > 1 {
                    merged.push(b',');
                }
                merged.extend_from_slice(&text);
            }
        }
        merged.extend_from_slice(b"]}");
        merged
    }
}
