//! The names of tools on the origin's wire.
//!
//! The EXAI tools have their own names there, as they have always had; all other tools have the names of the endpoint of
//! all servers. No two names are the same: an aggregated name holds a separator, and an own name that holds one is not
//! listed.

use exai_mux::names::{self, SEPARATOR};

/// The server that hosts the EXAI tools.
const EXAI_TOOLS: &str = "ai";

/// What clients of the origin add to the name of a tool.
const SUFFIXES: [&str; 4] = ["_EXAI-WS", "-EXAI-WS", "_EXAI_WS", "-EXAI_WS"];

/// The name under which a client is told of a tool.
pub(super) fn listed(aggregated: &str) -> &str {
    match names::split(aggregated) {
        Some((EXAI_TOOLS, own)) if !own.is_empty() && !own.contains(SEPARATOR) => own,
        _ => aggregated,
    }
}

/// The name that a client has called, without what its program has added.
pub(super) fn without_suffix(called: &str) -> &str {
    SUFFIXES.iter().find_map(|suffix| called.strip_suffix(suffix)).unwrap_or(called)
}

/// The aggregated name of a tool that a client calls by this name.
pub(super) fn aggregated(called: &str) -> String {
    if called.contains(SEPARATOR) { called.to_owned() } else { names::aggregated(EXAI_TOOLS, called) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_leads_back_to_its_tool() {
        let long = names::aggregated(EXAI_TOOLS, &"x".repeat(80));
        let cases = [
            ("ai__chat", "chat"),
            ("ai___odd", "_odd"),
            ("fix__echo", "fix__echo"),
            ("fix__read__file", "fix__read__file"),
            // Its own name could be that of a tool of another server.
            ("ai__fix__echo", "ai__fix__echo"),
            ("aid__chat", "aid__chat"),
            ("ai__", "ai__"),
            (&long, &long["ai__".len()..]),
        ];
        for (aggregated_name, name) in cases {
            assert_eq!(listed(aggregated_name), name);
            for called in [name, aggregated_name] {
                assert_eq!(aggregated(called), aggregated_name);
                for suffix in SUFFIXES {
                    let called = format!("{called}{suffix}");
                    assert_eq!(aggregated(without_suffix(&called)), aggregated_name, "{called}");
                }
            }
        }
    }
}
