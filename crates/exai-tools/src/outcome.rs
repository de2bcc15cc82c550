//! What a tool answers.

use rmcp::model::CallToolResult;
use serde_json::{Map, Value, json};

use crate::explain::Explain;

/// What a tool answers: one JSON object, which goes out as text and as structured content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) body: Map<String, Value>,
    /// Whether the tool could not do what was asked.
    pub(crate) is_error: bool,
}

impl Outcome {
    /// A success. `body` is an object.
    pub(crate) fn success(body: Value) -> Outcome {
        Outcome { body: object(body), is_error: false }
    }

    /// A failure that a tool has put into words itself. `body` is an object.
    pub(crate) fn error(body: Value) -> Outcome {
        Outcome { body: object(body), is_error: true }
    }

    /// A failure: `status: "error"`, what failed and why, and what to do about it.
    pub(crate) fn failure(error: &(impl Explain + ?Sized)) -> Outcome {
        Outcome { body: object(json!({"status": "error", "error": error_object(error)})), is_error: true }
    }

    /// The failure, with more that the agent should have: nothing of its own work is lost.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Outcome {
        self.body.insert(key.to_owned(), value.into());
        self
    }

    /// The failure, with what had come of the answer before it failed.
    pub(crate) fn with_partial(self, partial: &str) -> Outcome {
        if partial.is_empty() { self } else { self.with("partial", partial) }
    }

    /// The same, with a warning beside those that it has.
    pub(crate) fn with_warning(mut self, warning: &str) -> Outcome {
        let warnings = self.body.entry("warnings").or_insert_with(|| json!([]));
        if let Value::Array(warnings) = warnings {
            warnings.push(warning.into());
        }
        self
    }

    pub(crate) fn into_result(self) -> CallToolResult {
        let body = Value::Object(self.body);
        if self.is_error { CallToolResult::structured_error(body) } else { CallToolResult::structured(body) }
    }
}

/// An error as the tools tell it: `{"code", "message", "hint"}`.
pub(crate) fn error_object(error: &(impl Explain + ?Sized)) -> Value {
    json!({"code": error.code(), "message": error.to_string(), "hint": error.hint()})
}

fn object(body: Value) -> Map<String, Value> {
    match body {
        Value::Object(body) => body,
        other => Map::from_iter([("content".to_owned(), other)]),
    }
}
