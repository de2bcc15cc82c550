//! One JSON-RPC message of the client.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// A message of the client. The id and the params keep their original text.
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) method: Option<String>,
    /// The text of `params`; `null` where the message has none.
    pub(crate) params: String,
    /// The text `{"result":…}` or `{"error":…}` of a response.
    pub(crate) outcome: Option<String>,
}

impl Message {
    /// Reads one line; `None` when the line is no JSON object.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).ok()?;
        let mut take = |name: &str| members.remove(name).map(|raw| raw.get().to_owned());
        let outcome =
            ["result", "error"].into_iter().find_map(|name| Some(format!(r#"{{"{name}":{}}}"#, take(name)?)));
        Some(Self {
            id: take("id"),
            method: take("method").and_then(|text| serde_json::from_str(&text).ok()),
            params: take("params").unwrap_or_else(|| "null".to_owned()),
            outcome,
        })
    }

    /// The params as a value, for code that only reads them.
    pub(crate) fn params(&self) -> Value {
        serde_json::from_str(&self.params).unwrap_or_default()
    }
}

/// Writes a text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_params_keep_their_text() {
        let message =
            Message::parse(r#"{"jsonrpc":"2.0","id": 1.0 ,"method":"ping","params":{"b": 1e2,"a":1.0}}"#)
                .unwrap();
        assert_eq!(message.id.as_deref(), Some("1.0"));
        assert_eq!(message.method.as_deref(), Some("ping"));
        assert_eq!(message.params, r#"{"b": 1e2,"a":1.0}"#);
    }

    #[test]
    fn a_response_has_an_outcome() {
        let message = Message::parse(r#"{"id":"s1","error":{"code":1}}"#).unwrap();
        assert_eq!(message.outcome.as_deref(), Some(r#"{"error":{"code":1}}"#));
        assert!(Message::parse("[1]").is_none());
    }
}
