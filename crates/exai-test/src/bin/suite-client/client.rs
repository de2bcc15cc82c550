//! A client of the daemon, behind a shim.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::common::{Era, Outcome};

/// How many messages may wait to be looked at.
const WAITING: usize = 64;

pub(crate) struct Client {
    shim: Child,
    /// `None` once the shim is to end.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    era: Era,
    last_id: u64,
    /// When all that is awaited must have happened.
    end: Instant,
}

impl Client {
    /// Starts the shim, and says who is there as it is said in this era.
    pub(crate) fn start(mut shim: Command, era: Era, end: Instant) -> Outcome<Self> {
        let spawned = shim.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut shim = spawned.map_err(|error| format!("the shim does not start: {error}"))?;
        let output = shim.stdout.take().ok_or("BUG: stdout is a pipe")?;
        let (sender, lines) = sync_channel(WAITING);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut client = Client { input: shim.stdin.take(), shim, lines, era, last_id: 0, end };
        client.begin()?;
        Ok(client)
    }

    fn begin(&mut self) -> Outcome {
        match self.era {
            Era::Legacy => {
                let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities(),
                    "clientInfo": client_info()});
                self.ask("initialize", params)?;
                self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            }
            Era::Modern => self.ask("server/discover", json!({})).map(drop),
        }
    }

    /// The result of a request.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Outcome<Value> {
        let mut answer = self.request(method, params)?;
        if answer["result"].is_object() {
            Ok(answer["result"].take())
        } else {
            Err(format!("{method}: {answer}"))
        }
    }

    /// The answer to a request. The server's own questions that come before it are answered.
    pub(crate) fn request(&mut self, method: &str, mut params: Value) -> Outcome<Value> {
        self.last_id += 1;
        let id = self.last_id;
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": client_info(),
                "io.modelcontextprotocol/clientCapabilities": capabilities(),
            });
        }
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let message = self.receive().map_err(|problem| format!("{method}: {problem}"))?;
            match message["method"].as_str() {
                Some(_) => self.hear(&message)?,
                None if message["id"] == id => return Ok(message),
                None => return Err(format!("{method}: {message}")),
            }
        }
    }

    /// Calls a tool, and checks the text of its result.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value, expected: &str) -> Outcome {
        let result = self.ask("tools/call", json!({"name": tool, "arguments": arguments}))?;
        require_text(tool, &result, expected)
    }

    /// Closes the shim's stdin, by which it knows that its client has left, and waits until it has left, too.
    pub(crate) fn finish(mut self) -> Outcome {
        drop(self.input.take());
        loop {
            match self.lines.recv_timeout(self.end.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => return Err("the shim has not ended in time".to_owned()),
            }
        }
    }

    fn send(&mut self, message: &Value) -> Outcome {
        let input = self.input.as_mut().ok_or("BUG: the shim is to end")?;
        input
            .write_all(format!("{message}\n").as_bytes())
            .map_err(|error| format!("the shim has left: {error}"))
    }

    fn receive(&mut self) -> Outcome<Value> {
        let line = self.lines.recv_timeout(self.end.saturating_duration_since(Instant::now()));
        let line = line.map_err(|error| match error {
            RecvTimeoutError::Timeout => "no answer in time",
            RecvTimeoutError::Disconnected => "the shim has ended",
        })?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))
    }

    /// Answers a question of the server. Nothing is to be said to a notification.
    fn hear(&mut self, message: &Value) -> Outcome {
        let Some(id) = message.get("id") else { return Ok(()) };
        let mut answer = json!({"jsonrpc": "2.0", "id": id});
        match message["method"].as_str() {
            Some("elicitation/create") => answer["result"] = accept(message),
            Some("roots/list") => answer["result"] = json!({"roots": []}),
            Some("sampling/createMessage") => {
                let content = json!({"type": "text", "text": "yes"});
                answer["result"] = json!({"role": "assistant", "content": content, "model": "none"});
            }
            _ => answer["error"] = json!({"code": -32601, "message": "this client cannot do that"}),
        }
        self.send(&answer)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.shim.kill();
        let _ = self.shim.wait();
    }
}

/// Fails unless this text is all that a tool has said.
pub(crate) fn require_text(tool: &str, result: &Value, expected: &str) -> Outcome {
    if result["content"] == json!([{"type": "text", "text": expected}]) {
        return Ok(());
    }
    Err(format!("{tool} should say {expected:?}: {result}"))
}

/// What a user answers who accepts every default, and says yes where there is none.
pub(crate) fn accept(question: &Value) -> Value {
    let properties = question["params"]["requestedSchema"]["properties"].as_object();
    let filled = |(name, schema): (&String, &Value)| {
        (name.clone(), schema.get("default").cloned().unwrap_or(Value::Bool(true)))
    };
    let content: Map<String, Value> = properties.into_iter().flatten().map(filled).collect();
    json!({"action": "accept", "content": content})
}

/// All that there are: the suite looks at how each is declared. The user can be shown forms and pages.
fn capabilities() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "roots": {}, "sampling": {}})
}

fn client_info() -> Value {
    json!({"name": "suite-client", "version": "1"})
}
