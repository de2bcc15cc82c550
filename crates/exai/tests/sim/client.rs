//! A client's program: it counts its requests from zero, and compares whatever it is told with what it asked.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::plan::{Act, SERVERS};

/// What an answer says about the request.
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
    /// When it was asked, and how long the machine had slept and the like by then.
    pub(crate) at: Duration,
    pub(crate) excused: Duration,
    pub(crate) told: Told,
    pub(crate) cancelled: bool,
    /// A tool of this server, and how often it may be executed.
    pub(crate) server: Option<usize>,
    pub(crate) most: u32,
    pub(crate) executed: u32,
    opening: bool,
    progress: u64,
}

/// What the client does about what it has heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Confirm,
    /// Its opening has failed: it tries again.
    OpenAgain,
    Say(String),
}

#[derive(Debug)]
pub(crate) struct Client {
    number: usize,
    /// The server it uses alone; `None` for one that uses all.
    pub(crate) own: Option<usize>,
    /// Half of the clients write their ids as strings. The numbers are the same for all.
    strings: bool,
    pub(crate) opened: bool,
    pub(crate) calls: Vec<Call>,
    open: HashMap<String, usize>,
    /// All answers and all errors by their code.
    pub(crate) heard: HashMap<i64, u32>,
    /// How often it has heard of the progress of a second run.
    pub(crate) resumed: u32,
}

impl Client {
    pub(crate) fn new(number: usize) -> Self {
        let own = (number % 4 < 3).then_some(number % 4);
        let (calls, open, heard) = Default::default();
        Client { number, own, strings: number % 2 == 1, opened: false, calls, open, heard, resumed: 0 }
    }

    /// Notes a request; returns its text.
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
        // Who can be asked for something need not share a server with those who cannot.
        let capabilities = if self.number % 3 == 1 { json!({"sampling": {}}) } else { json!({}) };
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities,
            "clientInfo": {"name": format!("client {}", self.number), "version": "1"}});
        self.ask("initialize", &params, now)
    }

    /// The line that says so.
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
                // An answered one may be meant as well: the two cross on their way.
                call.cancelled |= call.told == Told::Nothing && !call.opening;
                let id: Value = serde_json::from_str(&call.id).expect("an id");
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
                    .to_string()
            }
        };
        Some(text)
    }

    /// Takes note of a line. `all_configured`: no server was ever missing from the configuration.
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
            // Who has cancelled a request that was asked a second time may still hear how far the second run comes.
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
            // Its opening may have failed, nobody knows the server, or whose resource it is.
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
        // That nobody knows the name any more says nothing of what was done when it was known.
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

    /// The requests without an answer. A cancelled one need not get any.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.told == Told::Nothing && !call.cancelled)
    }
}
