//! The program of a client: it numbers its requests from zero, and compares each message that it gets with its
//! requests.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::plan::{Act, SERVERS};

/// The meaning of an answer for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Done,
    PerhapsDone,
    NotSent,
}

/// One request of a client.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) nonce: String,
    /// When the client made the request, and `World::excused` at that time.
    pub(crate) at: Duration,
    pub(crate) excused: Duration,
    pub(crate) told: Told,
    pub(crate) cancelled: bool,
    /// The server whose tool the request calls, and the number of times that the call may be executed.
    pub(crate) server: Option<usize>,
    pub(crate) most: u32,
    pub(crate) executed: u32,
    opening: bool,
    progress: u64,
}

/// What the client does after a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Confirm,
    /// `initialize` has failed, so the client tries again.
    OpenAgain,
    Say(String),
}

#[derive(Debug)]
pub(crate) struct Client {
    number: usize,
    /// The only server of the client; `None` for a client of all servers.
    pub(crate) own: Option<usize>,
    /// Half of the clients write their ids as strings. All clients use the same numbers.
    strings: bool,
    pub(crate) opened: bool,
    pub(crate) calls: Vec<Call>,
    open: HashMap<String, usize>,
    /// The number of answers by error code; 0 stands for results.
    pub(crate) heard: HashMap<i64, u32>,
    /// How often the client got progress of the second execution of a call.
    pub(crate) resumed: u32,
}

impl Client {
    pub(crate) fn new(number: usize) -> Self {
        let own = (number % 4 < 3).then_some(number % 4);
        let (calls, open, heard) = Default::default();
        Client { number, own, strings: number % 2 == 1, opened: false, calls, open, heard, resumed: 0 }
    }

    /// Notes a request and returns its text.
    fn ask(&mut self, method: &str, params: &Value, now: (Duration, Duration)) -> String {
        let count = self.calls.len();
        let id = if self.strings { json!(count.to_string()) } else { json!(count) };
        self.open.insert(id.to_string(), count);
        self.calls.push(Call {
            id: id.to_string(),
            nonce: format!("{}/{count}", self.number),
            at: now.0,
            excused: now.1,
            told: Told::Nothing,
            cancelled: false,
            server: None,
            most: 0,
            executed: 0,
            opening: method == "initialize",
            progress: 0,
        });
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
    }

    pub(crate) fn open(&mut self, now: (Duration, Duration)) -> String {
        // A client that can be asked need not share a server with clients that cannot.
        let capabilities = if self.number % 3 == 1 { json!({"sampling": {}}) } else { json!({}) };
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities,
            "clientInfo": {"name": format!("client {}", self.number), "version": "1"}});
        self.ask("initialize", &params, now)
    }

    /// The line by which the client does this; `None` if there is no request to cancel.
    pub(crate) fn act(&mut self, act: Act, now: (Duration, Duration)) -> Option<String> {
        let text = match act {
            Act::Call { server, tool, progress } => {
                let server = self.own.unwrap_or(server);
                let name = match self.own {
                    Some(_) => tool.to_owned(),
                    None => format!("{}__{tool}", SERVERS[server]),
                };
                let nonce = format!("{}/{}", self.number, self.calls.len());
                let mut params = json!({"name": name, "arguments": {"nonce": nonce}});
                if progress {
                    let token = self.calls.len();
                    params["_meta"]["progressToken"] =
                        if self.strings { json!(token.to_string()) } else { json!(token) };
                }
                let text = self.ask("tools/call", &params, now);
                let call = self.calls.last_mut().expect("it was noted");
                call.server = Some(server);
                call.most = if matches!(tool, "read" | "again") && SERVERS[server] != "c" { 2 } else { 1 };
                text
            }
            Act::List => self.ask("tools/list", &json!({}), now),
            Act::Ping => self.ask("ping", &json!({}), now),
            Act::Subscribe => {
                let uri = format!("{}:x", SERVERS[self.own.unwrap_or_default()]);
                self.ask("resources/subscribe", &json!({"uri": uri}), now)
            }
            Act::Level => self.ask("logging/setLevel", &json!({"level": "info"}), now),
            Act::Cancel { back } => {
                let at = self.calls.len().checked_sub(back + 1)?;
                let call = &mut self.calls[at];
                // An answered request may be cancelled too: answer and cancellation cross on their way.
                call.cancelled |= call.told == Told::Nothing && !call.opening;
                let id: Value = serde_json::from_str(&call.id).expect("an id");
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
                    .to_string()
            }
        };
        Some(text)
    }

    /// Takes a line and returns what the client does next. `all_configured` says that no server was ever missing from
    /// the configuration.
    pub(crate) fn hear(&mut self, line: &str, all_configured: bool) -> Result<Then, String> {
        let wrong = |what: &str| Err(format!("{what}: {line}"));
        let Ok(message) = serde_json::from_str::<Value>(line) else { return wrong("no JSON") };
        if message["method"] == "notifications/progress" {
            let token = message["params"]["progressToken"].to_string();
            let Some(&at) = self.open.get(&token) else { return wrong("progress of nothing that is open") };
            let (call, progress) = (&mut self.calls[at], message["params"]["progress"].as_u64());
            if message["params"]["message"] != *call.nonce {
                return wrong("progress of another's request");
            }
            // A client that has cancelled a request may still get the progress of its second execution, which starts
            // again.
            if !call.cancelled && progress.is_none_or(|progress| progress <= call.progress) {
                return wrong("progress goes back");
            }
            call.progress = progress.unwrap_or_default();
            self.resumed += u32::from(call.executed > 1 && !call.cancelled);
            return Ok(Then::Nothing);
        }
        if message.get("method").is_some() {
            let Some(id) = message.get("id") else { return Ok(Then::Nothing) };
            let result = json!({"nonce": message["params"]["nonce"]});
            return Ok(Then::Say(json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()));
        }
        let Some(at) = self.open.remove(&message["id"].to_string()) else {
            let id = message["id"].to_string();
            let known = self.calls.iter().any(|call| call.id == id);
            return wrong(if known { "a second answer" } else { "an answer to nothing" });
        };
        let call = &mut self.calls[at];
        let code = message["error"]["code"].as_i64();
        *self.heard.entry(code.unwrap_or_default()).or_default() += 1;
        call.told = match (message.get("result"), code) {
            (Some(_), _) => Told::Done,
            // `initialize` may have failed, the server may not be configured, or the owner of the resource may be
            // unknown.
            (None, Some(-32600)) if !self.opened => Told::NotSent,
            (None, Some(-32602)) if !all_configured => Told::NotSent,
            (None, Some(-32002)) if call.server.is_none() => Told::NotSent,
            (None, Some(-31008..=-31001)) => match message["error"]["data"]["sent"].as_bool() {
                Some(true) => Told::PerhapsDone,
                Some(false) => Told::NotSent,
                None => return wrong("an error that says nothing"),
            },
            (None, _) => return wrong("a strange answer"),
        };
        if call.told == Told::Done && call.server.is_some() {
            if message["result"]["nonce"] != *call.nonce {
                return wrong("the answer to another request");
            }
            if call.executed == 0 {
                return wrong("answered and not executed");
            }
        }
        // An error that no server knows the tool says nothing about executions in a time when a server knew it.
        let claims = call.most == 1 || matches!(code, Some(-31008..=-31001));
        if call.told == Told::NotSent && call.executed > 0 && claims {
            return wrong("told as not sent, and executed");
        }
        if !call.opening {
            return Ok(Then::Nothing);
        }
        self.opened = call.told == Told::Done;
        Ok(if self.opened { Then::Confirm } else { Then::OpenAgain })
    }

    /// The requests without an answer. Cancelled requests do not count, since they need no answer.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.told == Told::Nothing && !call.cancelled)
    }
}
