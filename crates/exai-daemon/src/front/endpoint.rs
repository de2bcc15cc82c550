//! The servers that a client of all servers wants, where it does not want all.

use std::collections::BTreeSet;
use std::sync::Arc;

use exai_mux::Endpoint;
use exai_proto::limits;

use crate::front::control::named;

/// What the query of `/mcp` asks for: `server=NAME`, once for each server. Whatever else it says is not ours.
pub(crate) fn of_query(query: Option<&str>) -> Result<Endpoint, String> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let mut names = pairs.filter(|(key, _)| *key == "server").map(|(_, name)| name).peekable();
    if names.peek().is_none() { Ok(Endpoint::All) } else { wanted_servers(names) }
}

/// Several servers by their names. The error is a sentence.
pub(crate) fn wanted_servers<'a>(names: impl Iterator<Item = &'a str>) -> Result<Endpoint, String> {
    let most = limits::NAMED_SERVERS;
    let names: BTreeSet<Arc<str>> = names.take(most + 1).map(|name| named(name).into()).collect();
    if names.len() > most {
        return Err(format!("a client may name {most} servers, and this one names more"));
    }
    Ok(Endpoint::Several(names.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_servers_and_nothing_else_counts() {
        for all in [None, Some(""), Some("server"), Some("x=server&y"), Some("Server=a")] {
            assert_eq!(of_query(all), Ok(Endpoint::All), "{all:?}");
        }
        let several = |names: &[&str]| wanted_servers(names.iter().copied());
        assert_eq!(of_query(Some("server=a&x=1&server=b&server=a")), several(&["b", "a"]));
        assert_eq!(of_query(Some("server=")), several(&[""]));
        let many: Vec<String> =
            (0..=limits::NAMED_SERVERS).map(|number| format!("server={number}")).collect();
        assert!(of_query(Some(&many.join("&"))).is_err());
        assert!(of_query(Some(&many[1..].join("&"))).is_ok());
    }
}
