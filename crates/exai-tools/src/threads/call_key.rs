//! What makes two calls the same.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::id::hex;

/// Arguments that say how a call is made and not what it asks.
const NOT_ASKED: [&str; 2] = ["continuation_id", "pay_again"];

/// What makes two calls of one thread the same: a hash of the tool, the step and the arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallKey(String);

impl CallKey {
    /// The key of a call. The order of the arguments does not matter, and `continuation_id` and `pay_again` do not count.
    pub fn of(tool: &str, step_number: Option<u32>, arguments: &Map<String, Value>) -> CallKey {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(tool);
        add(&step_number.map(|number| number.to_string()).unwrap_or_default());
        let mut asked: Vec<_> =
            arguments.iter().filter(|(name, _)| !NOT_ASKED.contains(&name.as_str())).collect();
        asked.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in asked {
            add(name);
            add(&in_order(value).to_string());
        }
        CallKey(hex(&hash.finalize()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The same value with the members of its objects in the order of their names.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| (name.clone(), in_order(value))).collect();
            members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(in_order).collect()),
        simple => simple.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tool: &str, step: Option<u32>, arguments: &str) -> CallKey {
        CallKey::of(tool, step, &serde_json::from_str(arguments).unwrap())
    }

    #[test]
    fn the_same_request_has_the_same_key_and_another_one_another() {
        let first = key("debug", Some(2), r#"{"step":"x","models":[{"a":1,"b":2}]}"#);
        let same = [
            key("debug", Some(2), r#"{"models":[{"b":2,"a":1}],"step":"x"}"#),
            key("debug", Some(2), r#"{"step":"x","models":[{"a":1,"b":2}],"pay_again":true}"#),
            key("debug", Some(2), r#"{"step":"x","models":[{"a":1,"b":2}],"continuation_id":"y"}"#),
        ];
        assert!(same.iter().all(|key| *key == first));
        let others = [
            key("chat", Some(2), r#"{"step":"x","models":[{"a":1,"b":2}]}"#),
            key("debug", Some(3), r#"{"step":"x","models":[{"a":1,"b":2}]}"#),
            key("debug", None, r#"{"step":"x","models":[{"a":1,"b":2}]}"#),
            key("debug", Some(2), r#"{"step":"y","models":[{"a":1,"b":2}]}"#),
            key("debug", Some(2), r#"{"step":"x","models":[{"a":2,"b":1}]}"#),
        ];
        assert!(others.iter().all(|key| *key != first));
    }
}
