//! What clients declare to servers, and what all servers together declare to a client of the aggregated endpoint.
//!
//! A capability is JSON that somebody else wrote. It is compared in one form, with sorted keys, and has a bound.

use exai_proto::json;
use serde_json::{Map, Value};

use crate::limits::{MAX_CAPABILITY_BYTES, MAX_UNITED_BYTES, MAX_UNITED_NAMES};
use crate::router::Server;
use crate::traits::{ASKS, Ask};

/// What a client declares to servers: whatever decides which clients can share one, with sorted keys.
pub(crate) fn declared(capabilities: &[u8]) -> String {
    let all: Value = serde_json::from_slice(capabilities).unwrap_or_default();
    let mut kept = Map::new();
    for ask in ASKS {
        let Some(value) = all.get(ask.capability()).filter(|value| says_something(ask, value)) else {
            continue;
        };
        let bytes = value.to_string().len();
        if bytes > MAX_CAPABILITY_BYTES {
            let capability = ask.capability();
            tracing::warn!(
                capability,
                bytes,
                "a client's capability is too long, and is declared to no server"
            );
            continue;
        }
        kept.insert(ask.capability().to_owned(), value.clone());
    }
    Value::Object(kept).to_string()
}

/// Whether a value makes a difference to its absence. Of what is a list of names an empty one makes none.
fn says_something(ask: Ask, value: &Value) -> bool {
    match (ask, value) {
        (_, Value::Null) => false,
        (Ask::Extensions | Ask::Experimental, Value::Object(names)) => !names.is_empty(),
        _ => true,
    }
}

/// The server that a request of the aggregated endpoint is meant for whose method exai does not know: the only one that
/// declares the extension or experiment which its method begins with, or any. `Err`: it cannot be known which.
pub(crate) fn only_declarer<'a>(servers: &'a [Server], method: &str) -> Result<Option<&'a Server>, ()> {
    let subject = method.split('/').next().unwrap_or_default();
    let named = |names: &Map<String, Value>| {
        names.keys().any(|name| name == subject || name.rsplit('/').next() == Some(subject))
    };
    let declares = |wanted: &dyn Fn(&Map<String, Value>) -> bool| -> Vec<&'a Server> {
        let one = |server: &&Server| {
            let all = [Ask::Extensions, Ask::Experimental].into_iter();
            all.filter_map(|ask| names(server, ask.capability())).any(|names| wanted(&names))
        };
        servers.iter().filter(one).collect()
    };
    let mut found = declares(&named);
    if found.is_empty() {
        found = declares(&|names| !names.is_empty());
    }
    match found[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => Err(()),
    }
}

/// The names that a server declares under `extensions` or `experimental`.
fn names(server: &Server, capability: &str) -> Option<Map<String, Value>> {
    let text = &server.said.as_ref()?.result;
    let place = json::find_path(text, 0..text.len(), &["capabilities", capability])?;
    match serde_json::from_slice(&text[place]).ok()? {
        Value::Object(names) => Some(names),
        _ => None,
    }
}

/// The names that servers declare under `extensions` or `experimental`, together. Of two that declare the same the
/// first in the order of the configuration counts, as everywhere.
pub(crate) fn united(servers: &[Server], capability: &str) -> Map<String, Value> {
    let (mut united, mut bytes) = (Map::new(), 0);
    for (name, value) in servers.iter().filter_map(|server| names(server, capability)).flatten() {
        let more = name.len() + value.to_string().len();
        if !united.contains_key(&name) && united.len() < MAX_UNITED_NAMES && bytes + more <= MAX_UNITED_BYTES
        {
            bytes += more;
            united.insert(name, value);
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_to_sharing_is_declared_and_order_does_not_matter() {
        let one = declared(br#"{"sampling":{},"roots":{"listChanged":true},"tasks":{"x":1}}"#);
        let two = declared(br#"{"roots":{"listChanged":true},"sampling":{},"elicitation":null}"#);
        assert_eq!(one, r#"{"roots":{"listChanged":true},"sampling":{}}"#);
        assert_eq!(one, two);
        for nothing in ["{}", "null", "[]", r#"{"experimental":{},"extensions":null}"#] {
            assert_eq!(declared(nothing.as_bytes()), "{}", "{nothing}");
        }
        let named = declared(br#"{"experimental":{"b":{},"a":1},"extensions":{"x/y":{}}}"#);
        assert_eq!(named, r#"{"experimental":{"a":1,"b":{}},"extensions":{"x/y":{}}}"#);
    }

    #[test]
    fn what_is_too_long_is_not_declared_and_the_rest_is() {
        let long = "x".repeat(MAX_CAPABILITY_BYTES);
        let text =
            format!(r#"{{"experimental":{{"{long}":{{}}}},"extensions":{{"x/y":{{}}}},"roots":{{}}}}"#);
        assert_eq!(declared(text.as_bytes()), r#"{"extensions":{"x/y":{}},"roots":{}}"#);
    }
}
