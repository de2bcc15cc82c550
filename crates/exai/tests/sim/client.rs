//! The program of a client: it numbers its requests from zero, and compares each message that it gets with its
//! requests.

use std::collections::HashMap;
use std::time::Duration;

use exai_proto::client_question::NAMED_REQUEST;
use exai_proto::modern::SUBSCRIPTION_ID;
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
    /// The call that this one continues with the input that it needed. A call that continues nothing is its own root.
    pub(crate) root: usize,
    /// The parameters, for a call that needs input.
    params: Value,
    listen: Option<Listen>,
}

/// A `subscriptions/listen`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Listen {
    pub(crate) acknowledged: bool,
    /// How much the client was told because of it.
    pub(crate) told: u32,
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
    /// Whether the client speaks the modern era, and no other.
    pub(crate) modern: bool,
    pub(crate) opened: bool,
    pub(crate) calls: Vec<Call>,
    open: HashMap<String, usize>,
    /// The number of answers by error code; 0 stands for results.
    pub(crate) heard: HashMap<i64, u32>,
    /// How often the client got progress of the second execution of a call.
    pub(crate) resumed: u32,
}

impl Client {
    pub(crate) fn new(number: usize, modern: bool) -> Self {
        let own = (number % 4 < 3).then_some(number % 4);
        let (calls, open, heard) = Default::default();
        let strings = number % 2 == 1;
        Client { number, own, strings, modern, opened: false, calls, open, heard, resumed: 0 }
    }

    /// Whether the configuration may choose for the client, which is called "few" then: for those of all servers, and
    /// for some of one.
    pub(crate) fn is_few(&self) -> bool {
        self.own.is_none_or(|own| own == 0)
    }

    /// Notes a request and returns its text.
    fn ask(&mut self, method: &str, params: &Value, now: (Duration, Duration)) -> String {
        let count = self.calls.len();
        let id = if self.strings { json!(count.to_string()) } else { json!(count) };
        let mut params = params.clone();
        if self.modern {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
            params["_meta"]["io.modelcontextprotocol/clientInfo"] =
                json!({"name": format!("client {}", self.number), "version": "1"});
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities();
        }
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
            opening: matches!(method, "initialize" | "server/discover"),
            progress: 0,
            root: count,
            params: params.clone(),
            listen: (method == "subscriptions/listen").then(Listen::default),
        });
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
    }

    /// A client that can be asked need not share a server with clients that cannot.
    fn capabilities(&self) -> Value {
        if self.number % 3 == 1 { json!({"sampling": {}}) } else { json!({}) }
    }

    pub(crate) fn open(&mut self, now: (Duration, Duration)) -> String {
        if self.modern {
            return self.ask("server/discover", &json!({}), now);
        }
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": self.capabilities(),
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
            // There is no ping in the modern era, and no log level of a session.
            Act::Ping | Act::Level if self.modern => self.ask("prompts/list", &json!({}), now),
            Act::Ping => self.ask("ping", &json!({}), now),
            Act::Subscribe => {
                let uri = format!("{}:x", SERVERS[self.own.unwrap_or_default()]);
                if self.modern {
                    let filter = json!({"toolsListChanged": true, "resourceSubscriptions": [uri]});
                    return Some(self.ask("subscriptions/listen", &json!({"notifications": filter}), now));
                }
                self.ask("resources/subscribe", &json!({"uri": uri}), now)
            }
            Act::Level => self.ask("logging/setLevel", &json!({"level": "info"}), now),
            Act::Cancel { back } => {
                let at = self.calls.len().checked_sub(back + 1)?;
                let call = &mut self.calls[at];
                if self.modern && call.opening {
                    return None;
                }
                // An answered request may be cancelled too: answer and cancellation cross on their way.
                call.cancelled |= call.told == Told::Nothing && !call.opening;
                let id: Value = serde_json::from_str(&call.id).expect("an id");
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
                    .to_string()
            }
        };
        Some(text)
    }

    /// Takes a line and returns what the client does next. `all_seen` says that the client could always see all
    /// servers and tools.
    pub(crate) fn hear(&mut self, line: &str, all_seen: bool) -> Result<Then, String> {
        let wrong = |what: &str| Err(format!("{what}: {line}"));
        let Ok(message) = serde_json::from_str::<Value>(line) else { return wrong("no JSON") };
        if self.modern && message.get("method").is_some() && message.get("id").is_some() {
            return wrong("a modern client is asked");
        }
        let listen = &message["params"]["_meta"][SUBSCRIPTION_ID];
        if !listen.is_null() {
            return self.hear_of_listen(&listen.to_string(), &message["method"]).map_or_else(wrong, Ok);
        }
        let for_all = ["notifications/progress", "notifications/message"];
        if self.modern && message["method"].as_str().is_some_and(|method| !for_all.contains(&method)) {
            return wrong("a modern client is told what belongs to no listen");
        }
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
            let nonce = &message["params"]["nonce"];
            let named = message["params"]["_meta"].get(NAMED_REQUEST).map(ToString::to_string);
            let is_named = |call: &Call| Some(&call.id) == named.as_ref() && call.nonce == *nonce;
            if named.is_some() && !self.calls.iter().any(is_named) {
                return wrong("a question about another's request");
            }
            let result = json!({"nonce": nonce});
            return Ok(Then::Say(json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()));
        }
        let Some(at) = self.open.remove(&message["id"].to_string()) else {
            let id = message["id"].to_string();
            let known = self.calls.iter().any(|call| call.id == id);
            return wrong(if known { "a second answer" } else { "an answer to nothing" });
        };
        let executed = self.calls[self.calls[at].root].executed;
        let (modern, opened) = (self.modern, self.opened);
        let call = &mut self.calls[at];
        let code = message["error"]["code"].as_i64();
        let kind = &message["result"]["resultType"];
        if message.get("result").is_some() && kind.is_string() != modern {
            return wrong("the result of another era");
        }
        *self.heard.entry(code.unwrap_or_default()).or_default() += 1;
        call.told = match (message.get("result"), code) {
            (Some(_), _) => Told::Done,
            // `initialize` may have failed, the server may not be configured, or the owner of the resource may be
            // unknown.
            (None, Some(-32600)) if !opened => Told::NotSent,
            // It is not known in time whether the server speaks the era.
            (None, Some(-32601 | -32022)) if modern => Told::NotSent,
            // The daemon that has given the request state is gone, or the owner of the resource is unknown.
            (None, Some(-32602)) if modern && (call.root != at || call.server.is_none()) => Told::PerhapsDone,
            // The client of the call cannot be asked.
            (None, Some(-32021)) => Told::PerhapsDone,
            (None, Some(-32602)) if !all_seen => Told::NotSent,
            (None, Some(-32002)) if call.server.is_none() => Told::NotSent,
            (None, Some(-31008..=-31001)) => match message["error"]["data"]["sent"].as_bool() {
                Some(true) => Told::PerhapsDone,
                Some(false) => Told::NotSent,
                None => return wrong("an error that says nothing"),
            },
            (None, _) => return wrong("a strange answer"),
        };
        if *kind == "input_required" {
            return Ok(self.provide(at, &message["result"]));
        }
        if call.told == Told::Done && call.server.is_some() {
            if message["result"]["nonce"] != *call.nonce {
                return wrong("the answer to another request");
            }
            if executed == 0 {
                return wrong("answered and not executed");
            }
        }
        // An error that no server knows the tool says nothing about executions in a time when a server knew it.
        let claims = call.most == 1 || matches!(code, Some(-31008..=-31001));
        if call.told == Told::NotSent && call.root == at && executed > 0 && claims {
            return wrong("told as not sent, and executed");
        }
        if !call.opening {
            return Ok(Then::Nothing);
        }
        self.opened = call.told == Told::Done;
        Ok(if self.opened && modern {
            Then::Nothing
        } else if self.opened {
            Then::Confirm
        } else {
            Then::OpenAgain
        })
    }

    /// What a listen brings. An error says what is wrong.
    fn hear_of_listen(&mut self, id: &str, method: &Value) -> Result<Then, &'static str> {
        if !self.modern {
            return Err("a legacy client listens to nothing");
        }
        let Some(call) = self.open.get(id).map(|at| &mut self.calls[*at]) else {
            return Err("no open listen");
        };
        if call.cancelled {
            return Err("a listen that was cancelled");
        }
        let Some(listen) = &mut call.listen else { return Err("a request that is no listen") };
        let is_first = *method == "notifications/subscriptions/acknowledged";
        if is_first == listen.acknowledged {
            return Err("the acknowledgement comes first, and once");
        }
        listen.acknowledged = true;
        listen.told += u32::from(!is_first);
        Ok(Then::Nothing)
    }

    /// Makes a call again, with what it needs.
    fn provide(&mut self, at: usize, result: &Value) -> Then {
        let call = &self.calls[at];
        let (root, server, cancelled) = (call.root, call.server, call.cancelled);
        if cancelled {
            return Then::Nothing;
        }
        let mut params = call.params.clone();
        let answer = json!({"nonce": call.nonce});
        let requests = result["inputRequests"].as_object().into_iter().flatten();
        let answers: serde_json::Map<String, Value> =
            requests.map(|(key, _)| (key.clone(), answer.clone())).collect();
        params["inputResponses"] = answers.into();
        params["requestState"] = result["requestState"].clone();
        if !params["_meta"]["progressToken"].is_null() {
            let token = self.calls.len();
            params["_meta"]["progressToken"] =
                if self.strings { json!(token.to_string()) } else { json!(token) };
        }
        let call = &self.calls[at];
        let (now, nonce) = ((call.at, call.excused), call.nonce.clone());
        let line = self.ask("tools/call", &params, now);
        let again = self.calls.last_mut().expect("it was noted");
        (again.root, again.server, again.nonce, again.most) = (root, server, nonce, 1);
        Then::Say(line)
    }

    /// The open listens.
    pub(crate) fn listens(&self) -> impl Iterator<Item = &Listen> {
        let is_open = |call: &&Call| call.told == Told::Nothing && !call.cancelled;
        self.calls.iter().filter(is_open).filter_map(|call| call.listen.as_ref())
    }

    /// The requests without an answer. Cancelled requests and listens do not count, since they need no answer.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = &Call> {
        let is_owed = |call: &&Call| call.told == Told::Nothing && !call.cancelled && call.listen.is_none();
        self.calls.iter().filter(is_owed)
    }
}
