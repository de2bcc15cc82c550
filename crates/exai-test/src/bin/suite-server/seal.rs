//! The request states of the modern era: what a call has been told so far, sealed and bound to that call.

use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value, json};

/// The key of this process. What another process has sealed is foreign here.
#[derive(Default)]
pub(crate) struct Seal(RandomState);

impl Seal {
    /// The state of the call `method` with `params`, which has had these answers. It is plain JSON and its seal: a
    /// client that does not give it back byte for byte breaks it.
    pub(crate) fn close(&self, method: &str, params: &Value, answers: &Map<String, Value>) -> String {
        let text = json!({"call": call(method, params), "answers": answers}).to_string();
        let seal = self.0.hash_one(&text);
        format!("{text}.{seal:016x}")
    }

    /// The answers in a state; `None` if the state was changed, is of another process, or belongs to another call.
    pub(crate) fn open(&self, state: &str, method: &str, params: &Value) -> Option<Map<String, Value>> {
        let (text, seal) = state.rsplit_once('.')?;
        if format!("{:016x}", self.0.hash_one(text)) != seal {
            return None;
        }
        let mut state: Value = serde_json::from_str(text).ok()?;
        if state["call"] != call(method, params) {
            return None;
        }
        match state["answers"].take() {
            Value::Object(answers) => Some(answers),
            _ => None,
        }
    }
}

/// What must be the same when a call is made again.
fn call(method: &str, params: &Value) -> Value {
    json!([method, params["name"], params["uri"], params["arguments"]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_call_opens_an_untouched_state() {
        let seal = Seal::default();
        let params = json!({"name": "t", "arguments": {"a": 1}});
        let answers = Map::from_iter([("k".to_owned(), json!("v"))]);
        let state = seal.close("tools/call", &params, &answers);
        assert_eq!(seal.open(&state, "tools/call", &params), Some(answers));
        let other = json!({"name": "t", "arguments": {"a": 2}});
        assert_eq!(seal.open(&state, "tools/call", &other), None);
        assert_eq!(seal.open(&state, "prompts/get", &params), None);
        assert_eq!(seal.open(&state.replace("\"v\"", "\"w\""), "tools/call", &params), None);
        assert_eq!(Seal::default().open(&state, "tools/call", &params), None);
    }
}
