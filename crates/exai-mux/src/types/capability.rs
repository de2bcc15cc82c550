//! The capabilities of clients that decide which clients can share a server.
//!
//! The JSON of a capability comes from outside. It is compared in one form, with sorted keys, and has a bound.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::limits::MAX_CAPABILITY_BYTES;

/// What a client can declare to a server, so that the server may ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientCapability {
    /// The client's directories.
    Roots,
    /// A message of the client's model.
    Sampling,
    /// An answer of the user.
    Elicitation,
    /// Whatever extensions of the protocol define.
    Extensions,
    /// Whatever client and server have agreed upon outside of the protocol.
    Experimental,
}

/// All of these capabilities.
pub const CLIENT_CAPABILITIES: [ClientCapability; 5] = [
    ClientCapability::Roots,
    ClientCapability::Sampling,
    ClientCapability::Elicitation,
    ClientCapability::Extensions,
    ClientCapability::Experimental,
];

impl ClientCapability {
    /// The name of the capability in `initialize`.
    pub fn name(self) -> &'static str {
        match self {
            ClientCapability::Roots => "roots",
            ClientCapability::Sampling => "sampling",
            ClientCapability::Elicitation => "elicitation",
            ClientCapability::Extensions => "extensions",
            ClientCapability::Experimental => "experimental",
        }
    }

    /// The capability that a method of a server needs. A method that exai does not know may belong to an extension or
    /// an experiment.
    pub(crate) fn of_method(method: &str) -> &'static [Self] {
        match method {
            "roots/list" => &[ClientCapability::Roots],
            "sampling/createMessage" => &[ClientCapability::Sampling],
            "elicitation/create" => &[ClientCapability::Elicitation],
            _ => &[ClientCapability::Extensions, ClientCapability::Experimental],
        }
    }
}

/// Reads what a text of capabilities declares.
pub(crate) fn parse_capabilities(declared: &str) -> BTreeMap<ClientCapability, String> {
    let all: serde_json::Value = serde_json::from_str(declared).unwrap_or_default();
    CLIENT_CAPABILITIES.into_iter().filter_map(|ask| Some((ask, all.get(ask.name())?.to_string()))).collect()
}

/// What of the capabilities of a client is declared to servers: those that decide which clients can share a server,
/// with sorted keys.
pub(crate) fn normalise_capabilities(capabilities: &[u8]) -> String {
    let all: Value = serde_json::from_slice(capabilities).unwrap_or_default();
    let mut kept = Map::new();
    for ask in CLIENT_CAPABILITIES {
        let Some(value) = all.get(ask.name()).filter(|value| says_something(ask, value)) else {
            continue;
        };
        let bytes = value.to_string().len();
        if bytes > MAX_CAPABILITY_BYTES {
            let capability = ask.name();
            tracing::warn!(
                capability,
                bytes,
                "a client's capability is too long, and is declared to no server"
            );
            continue;
        }
        kept.insert(ask.name().to_owned(), value.clone());
    }
    Value::Object(kept).to_string()
}

/// Whether a value differs from its absence. An empty list of names does not.
fn says_something(ask: ClientCapability, value: &Value) -> bool {
    match (ask, value) {
        (_, Value::Null) => false,
        (ClientCapability::Extensions | ClientCapability::Experimental, Value::Object(names)) => {
            !names.is_empty()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_to_sharing_is_declared_and_order_does_not_matter() {
        let one = normalise_capabilities(br#"{"sampling":{},"roots":{"listChanged":true},"tasks":{"x":1}}"#);
        let two =
            normalise_capabilities(br#"{"roots":{"listChanged":true},"sampling":{},"elicitation":null}"#);
        assert_eq!(one, r#"{"roots":{"listChanged":true},"sampling":{}}"#);
        assert_eq!(one, two);
        for nothing in ["{}", "null", "[]", r#"{"experimental":{},"extensions":null}"#] {
            assert_eq!(normalise_capabilities(nothing.as_bytes()), "{}", "{nothing}");
        }
        let named = normalise_capabilities(br#"{"experimental":{"b":{},"a":1},"extensions":{"x/y":{}}}"#);
        assert_eq!(named, r#"{"experimental":{"a":1,"b":{}},"extensions":{"x/y":{}}}"#);
    }

    #[test]
    fn what_is_too_long_is_not_declared_and_the_rest_is() {
        let long = "x".repeat(MAX_CAPABILITY_BYTES);
        let text =
            format!(r#"{{"experimental":{{"{long}":{{}}}},"extensions":{{"x/y":{{}}}},"roots":{{}}}}"#);
        assert_eq!(normalise_capabilities(text.as_bytes()), r#"{"extensions":{"x/y":{}},"roots":{}}"#);
    }
}
