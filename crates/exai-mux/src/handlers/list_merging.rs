//! The list of all servers together.

use std::collections::BTreeSet;

use exai_proto::json::{self, Edit};

use crate::router::Router;
use crate::types::list_kind::{ListKind, member_place, string_member};
use crate::types::names;

impl Router {
    /// The list of all servers together, under their aggregated names. Where two would have the same name or
    /// URI, the first server of the configuration has it.
    pub(crate) fn merge_lists(&self, kind: ListKind) -> Vec<u8> {
        let mut taken = BTreeSet::new();
        let mut merged = format!("{{\"{}\":[", kind.key()).into_bytes();
        for server in self.servers.iter() {
            for item in server.catalogue.list(kind).unwrap_or_default() {
                let named = match kind {
                    ListKind::Tools | ListKind::Prompts => {
                        let Some(name) = member_place(item, "name") else { continue };
                        let Some(text) = json::string(item, name.clone()) else { continue };
                        if kind == ListKind::Tools && !server.policy.tools.allows(&text) {
                            continue;
                        }
                        let aggregated = names::aggregated(&server.policy.name, &text);
                        let with = json::quote(&aggregated).into_bytes();
                        (aggregated, json::splice(item, vec![Edit { at: name, with }]))
                    }
                    ListKind::Resources | ListKind::Templates => {
                        let key = if kind == ListKind::Resources { "uri" } else { "uriTemplate" };
                        let Some(uri) = string_member(item, key) else { continue };
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
