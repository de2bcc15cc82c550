//! One JSON-RPC message, coming and going.

use serde_json::{Value, json};

/// The keys of a modern request's `_meta`.
pub(crate) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
pub(crate) const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";
pub(crate) const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";
pub(crate) const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// A message of the client. It is a request if it has an id and a method, and a response if it has no method.
pub(crate) struct Message {
    pub(crate) id: Option<Value>,
    pub(crate) method: Option<String>,
    pub(crate) params: Value,
    /// The whole message, for responses.
    pub(crate) whole: Value,
}

impl Message {
    /// Reads one line; `None` when the line is no JSON object.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let whole: Value = serde_json::from_str(line).ok()?;
        let object = whole.as_object()?;
        Some(Message {
            id: object.get("id").cloned(),
            method: object.get("method").and_then(Value::as_str).map(str::to_owned),
            params: object.get("params").cloned().unwrap_or(Value::Null),
            whole,
        })
    }

    /// The protocol version in `_meta`, which only modern messages have.
    pub(crate) fn version(&self) -> Option<&str> {
        self.params["_meta"][VERSION_KEY].as_str()
    }
}

pub(crate) fn error(id: &Value, code: i64, message: &str, data: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": message});
    if let Some(data) = data {
        error["data"] = data;
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

pub(crate) fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}
