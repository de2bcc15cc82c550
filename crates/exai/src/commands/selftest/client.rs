//! An MCP client with a real shim, a child process that it talks to over stdio.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::{self, Bench};
use crate::limits::{
    MAX_SELFTEST_LINES, SELFTEST_ANSWER_TIMEOUT, SELFTEST_END_TIMEOUT, SELFTEST_READ_INTERVAL,
    SELFTEST_RETRY_DELAY, SELFTEST_RETRY_TIMEOUT,
};

/// The request may have been executed, its answer is lost: after a death in the middle of it.
const OUTCOME_UNKNOWN: [i64; 2] = [-31002, -31005];

/// Ends its shim when it goes.
pub(super) struct Client<'a> {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    next_id: u64,
    label: String,
    bench: &'a Bench,
    calls: Arc<AtomicU64>,
}

/// The result of a call that may have been disturbed by a death.
#[derive(Debug)]
pub(super) struct Patience {
    /// The text of the result.
    pub(super) text: String,
    /// How often it was repeated after an honest error: that it was not executed, or that this is not known.
    pub(super) repeated: u32,
    /// How long all of that took.
    pub(super) took: Duration,
}

/// Why a call has no result.
#[derive(Debug)]
struct Refusal {
    may_be_repeated: bool,
    sentence: String,
}

impl<'a> Client<'a> {
    pub(super) fn start(mut command: Command, label: &str, bench: &'a Bench) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("cannot start the shim {label}: {error}"))?;
        let (sender, lines) = sync_channel(MAX_SELFTEST_LINES);
        let input = child.stdin.take();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                // Reads until the receiver is gone.
                let _ = lines.map(|line| sender.send(line)).find(Result::is_err);
            });
        }
        let calls = Arc::clone(&bench.calls);
        Ok(Client { child, input, lines, next_id: 1, label: label.to_owned(), bench, calls })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Whether the shim has not ended.
    pub(super) fn is_open(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        let Some(input) = &mut self.input else { return Err(self.about("is closed")) };
        let written = input.write_all(format!("{message}\n").as_bytes());
        written.map_err(|error| self.about(&format!("does not read: {error}")))
    }

    /// Sends a request and returns its id.
    pub(super) fn request(&mut self, method: &str, params: &Value) -> Result<u64, String> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    /// The next answer.
    pub(super) fn answer(&mut self) -> Result<Value, String> {
        let deadline = Instant::now() + SELFTEST_ANSWER_TIMEOUT;
        while Instant::now() < deadline {
            self.bench.go_on()?;
            match self.lines.recv_timeout(SELFTEST_READ_INTERVAL) {
                Ok(line) => {
                    let message: Value = serde_json::from_str(&line)
                        .map_err(|error| self.about(&format!("wrote no JSON ({error}): {line}")))?;
                    if message.get("method").is_none() {
                        return Ok(message);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.about("has closed its stdout")),
            }
        }
        Err(self.about(&format!("gave no answer within {}", bench::seconds(SELFTEST_ANSWER_TIMEOUT))))
    }

    /// Sends a request and returns its result.
    fn ask(&mut self, method: &str, params: &Value) -> Result<Result<Value, Refusal>, String> {
        let id = self.request(method, params)?;
        let mut answer = self.answer()?;
        if answer["id"] != id {
            return Err(self.about(&format!("answered {} instead of {id}", answer["id"])));
        }
        if let Some(error) = answer.get("error") {
            let is_unknown = error["code"].as_i64().is_some_and(|code| OUTCOME_UNKNOWN.contains(&code));
            let may_be_repeated = is_unknown || error["data"]["retrySafe"] == true;
            let sentence = format!("{method} was answered with {error}");
            return Ok(Err(Refusal { may_be_repeated, sentence }));
        }
        Ok(Ok(answer["result"].take()))
    }

    pub(super) fn initialize(&mut self) -> Result<(), String> {
        let params = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": self.label, "version": env!("CARGO_PKG_VERSION")},
        });
        self.ask("initialize", &params)?.map_err(|refusal| self.about(&refusal.sentence))?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    }

    /// The names of all tools.
    pub(super) fn tools(&mut self) -> Result<Vec<String>, String> {
        let result = self.ask("tools/list", &json!({}))?.map_err(|refusal| self.about(&refusal.sentence))?;
        let tools = result["tools"].as_array().into_iter().flatten();
        Ok(tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect())
    }

    /// Calls a tool and returns the text of its result.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<String, String> {
        self.try_call(tool, arguments)?.map_err(|refusal| self.about(&refusal.sentence))
    }

    fn try_call(&mut self, tool: &str, arguments: &Value) -> Result<Result<String, Refusal>, String> {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        Ok(result.map(|result| self.text(&result)))
    }

    /// The text of a tool's result, which is counted.
    pub(super) fn text(&self, result: &Value) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        result["content"][0]["text"].as_str().unwrap_or_default().to_owned()
    }

    /// Calls a tool that may be repeated, until it has a result: a call that was under way when something died
    /// gets one honest error.
    pub(super) fn call_patiently(&mut self, tool: &str, arguments: &Value) -> Result<Patience, String> {
        let start = Instant::now();
        let mut repeated = 0;
        loop {
            match self.try_call(tool, arguments)? {
                Ok(text) => return Ok(Patience { text, repeated, took: start.elapsed() }),
                Err(refusal) if refusal.may_be_repeated && start.elapsed() < SELFTEST_RETRY_TIMEOUT => {
                    repeated += 1;
                    thread::sleep(SELFTEST_RETRY_DELAY);
                }
                Err(refusal) => return Err(self.about(&refusal.sentence)),
            }
        }
    }

    /// Closes its stdin; the shim must end by itself.
    pub(super) fn finish(mut self) -> Result<(), String> {
        drop(self.input.take());
        let ended = bench::ended(&mut self.child, Instant::now() + SELFTEST_END_TIMEOUT, &|| Ok(()));
        let status = ended.map_err(|why| self.about(&format!("and the end of its stdin: {why}")))?;
        if status.success() { Ok(()) } else { Err(self.about(&format!("ended with {status}"))) }
    }

    fn about(&self, what: &str) -> String {
        format!("the shim {} (pid {}) {what}", self.label, self.child.id())
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
