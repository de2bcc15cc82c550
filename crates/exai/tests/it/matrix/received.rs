//! What a server has received, as it notes it itself.

use std::path::{Path, PathBuf};

use exai_test::eventually;
use serde_json::Value;

use crate::support::LIMIT;

/// The file that `suite-server --received` writes.
pub(super) struct Received(PathBuf);

impl Received {
    pub(super) fn new(path: PathBuf) -> Self {
        Received(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Each line: the process, and the message that came to it.
    fn lines(&self) -> Vec<(u64, Value)> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line: &str| {
            let (process, message) = line.split_once(' ')?;
            Some((process.parse().ok()?, serde_json::from_str(message).ok()?))
        };
        whole.lines().filter_map(parse).collect()
    }

    /// The methods of all messages, each behind a process of its own, in order.
    pub(super) fn methods(&self) -> Vec<(u64, String)> {
        let method = |message: &Value| message["method"].as_str().unwrap_or("response").to_owned();
        self.lines().iter().map(|(process, message)| (*process, method(message))).collect()
    }

    /// The parameters of the last call of a tool.
    pub(super) fn last_call(&self, tool: &str) -> Value {
        let lines = self.lines();
        let mut calls = lines.iter().rev().filter(|(_, message)| message["params"]["name"] == tool);
        calls.next().map_or(Value::Null, |(_, message)| message["params"].clone())
    }

    /// Waits until the last call of a tool has been cancelled.
    pub(super) fn await_cancellation(&self, tool: &str) {
        eventually("the server hears of the cancellation", LIMIT, || {
            let lines = self.lines();
            let at = lines.iter().rposition(|(_, message)| message["params"]["name"] == tool);
            let Some(((process, call), later)) = at.and_then(|at| lines[at..].split_first()) else {
                return false;
            };
            later.iter().any(|(by, message)| {
                by == process
                    && message["method"] == "notifications/cancelled"
                    && message["params"]["requestId"] == call["id"]
            })
        });
    }
}
