//! The programs of the servers: each speaks one era for its whole life, as real ones do.

use std::collections::BTreeMap;

use exai_mux::{ClientId, Down, Era, Event, InstanceId, Unreadable};
use exai_proto::answer::Failure;
use serde_json::{Value, json};

use super::{SERVERS, World};
use crate::support::message;

/// Which eras a program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Legacy,
    Modern,
    Both,
}

/// What a program of the legacy era does when it is asked which era it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Refuses,
    Exits,
    SaysNonsense,
    /// It ignores the question.
    IsSilent,
    /// It answers nothing any more.
    Hangs,
}

/// How a server runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) speaks: Speaks,
    pub(super) manner: Manner,
}

/// What a program says about a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Say {
    Result,
    Error,
    Progress,
    Log,
    /// A legacy program asks a question, which may name the request; a modern one answers that it needs input, and may give
    /// a request state.
    NeedsInput(bool),
}

/// One run of a server.
pub(super) struct Program {
    pub(super) server: usize,
    pub(super) run: Run,
    /// The era of the first request that it has accepted.
    pub(super) era: Option<Era>,
    hangs: bool,
    pub(super) is_gone: bool,
    /// The requests that are not answered.
    pub(super) open: Vec<Open>,
    /// The open listens of the router.
    listens: Vec<Value>,
    /// The calls that it has given a request state.
    states: BTreeMap<String, String>,
}

pub(super) struct Open {
    request: Value,
    is_cancelled: bool,
}

impl Open {
    /// What identifies the call.
    fn nonce(&self) -> Option<&str> {
        nonce_of(&self.request)
    }
}

/// A question of a legacy program.
pub(super) struct Question {
    instance: InstanceId,
    /// The call that it is about.
    nonce: String,
    is_answered: bool,
}

/// The nonce of a call or of a resource that is read.
pub(super) fn nonce_of(request: &Value) -> Option<&str> {
    let params = &request["params"];
    params["arguments"]["nonce"].as_str().or_else(|| params["uri"].as_str()?.rsplit('/').next())
}

/// The client that has made the call with this nonce.
pub(super) fn client_of(nonce: &str) -> ClientId {
    ClientId(nonce.split_once('-').and_then(|(client, _)| client.parse().ok()).expect("a nonce"))
}

impl Program {
    pub(super) fn new(server: usize, run: Run) -> Self {
        let speaks = match SERVERS[server].1 {
            Some(Era::Legacy) => Speaks::Legacy,
            Some(Era::Modern) => Speaks::Modern,
            None => run.speaks,
        };
        Program {
            server,
            run: Run { speaks, ..run },
            era: None,
            hangs: false,
            is_gone: false,
            open: Vec::new(),
            listens: Vec::new(),
            states: BTreeMap::new(),
        }
    }

    fn can(&self, era: Era) -> bool {
        let speaks = match era {
            Era::Legacy => self.run.speaks != Speaks::Modern,
            Era::Modern => self.run.speaks != Speaks::Legacy,
        };
        speaks && self.era.is_none_or(|own| own == era)
    }
}

impl World {
    pub(super) fn program_says(&mut self, instance: InstanceId, said: &Value) {
        self.next.push_back(Event::FromServer { instance, message: message(&said.to_string()) });
    }

    pub(super) fn end_program(&mut self, instance: InstanceId, reason: &str) {
        self.programs.get_mut(&instance).expect("it was started").is_gone = true;
        self.next.push_back(Event::Down { instance, why: Down::because(reason) });
    }

    pub(super) fn program_hears(&mut self, instance: InstanceId, value: &Value) {
        let program = self.programs.get_mut(&instance).expect("it was started");
        if program.is_gone {
            // The event that has ended it is not worked on yet.
            return;
        }
        program.check_message(value);
        let Some(method) = value["method"].as_str() else {
            return self.question_answered(instance, value);
        };
        let id = &value["id"];
        let answer = |result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result});
        let refuse = |code: i64, data: Value| json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no", "data": data}});
        match method {
            _ if program.hangs => {}
            "server/discover" if program.can(Era::Modern) => {
                program.era = Some(Era::Modern);
                self.program_says(instance, &answer(introduction_of_modern()));
            }
            "server/discover" if program.era.is_some() => {
                self.program_says(instance, &refuse(-32601, json!(null)));
            }
            "server/discover" => match program.run.manner {
                Manner::Refuses => self.program_says(instance, &refuse(-32601, json!(null))),
                Manner::Exits => self.end_program(instance, "exited with status 1"),
                Manner::IsSilent => {}
                Manner::Hangs => program.hangs = true,
                Manner::SaysNonsense => {
                    let text = "said \"what?\"".to_owned();
                    let unreadable =
                        Unreadable { id: None, asks: false, text, failure: Failure::OutcomeUnknown };
                    self.next.push_back(Event::Unreadable { instance, unreadable });
                }
            },
            "initialize" if program.can(Era::Legacy) => {
                program.era = Some(Era::Legacy);
                self.program_says(instance, &answer(introduction_of_legacy()));
            }
            "initialize" => {
                self.program_says(instance, &refuse(-32022, json!({"supported": ["2026-07-28"]})));
            }
            "subscriptions/listen" => {
                program.listens.push(id.clone());
                let params = json!({
                    "notifications": value["params"]["notifications"],
                    "_meta": {"io.modelcontextprotocol/subscriptionId": id},
                });
                self.program_says(instance, &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params}));
            }
            "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel" => {
                self.program_says(instance, &answer(json!({})));
            }
            "notifications/cancelled" => {
                let unwanted = &value["params"]["requestId"];
                program.listens.retain(|listen| listen != unwanted);
                let cancelled = program.open.iter_mut().filter(|open| open.request["id"] == *unwanted);
                cancelled.for_each(|open| open.is_cancelled = true);
            }
            method if method.starts_with("notifications/") => {}
            _ => self.program_is_asked(instance, value),
        }
    }

    fn program_is_asked(&mut self, instance: InstanceId, request: &Value) {
        let nonce = nonce_of(request).unwrap_or_default().to_owned();
        let server = self.programs[&instance].server;
        let program = self.programs.get_mut(&instance).expect("it was started");
        let params = &request["params"];
        let answers = params["inputResponses"].as_object();
        let is_right = |answer: &Value| answer["content"]["nonce"] == nonce || answer["action"] == "cancel";
        let knows = |state: &str| program.states.get(state).is_some_and(|of| *of == nonce);
        if params["requestState"].as_str().is_some_and(|state| !knows(state)) {
            let refusal = json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32602, "message": "an unknown state"}});
            return self.program_says(instance, &refusal);
        }
        assert!(answers.is_none_or(|all| all.values().all(is_right)), "somebody else's answer: {request}");
        program.open.push(Open { request: request.clone(), is_cancelled: false });
        if request["method"] == "tools/call" || request["method"] == "resources/read" {
            self.check_call(server, request, &nonce);
        }
    }

    /// Answers the oldest open request of an instance. Returns whether there was one.
    pub(super) fn answer_first(&mut self, instance: InstanceId) -> bool {
        let program = &self.programs[&instance];
        if program.is_gone || program.open.is_empty() {
            return false;
        }
        self.say_of(instance, 0, Say::Result);
        true
    }

    /// A program says something about one of its requests: perhaps too late.
    pub(super) fn say(&mut self, at: usize, say: Say) {
        let all = self.programs.iter().flat_map(|(id, one)| (0..one.open.len()).map(|place| (*id, place)));
        let all: Vec<(InstanceId, usize)> = all.collect();
        if !all.is_empty() {
            let (instance, place) = all[at % all.len()];
            self.say_of(instance, place, say);
        }
    }

    fn say_of(&mut self, instance: InstanceId, place: usize, say: Say) {
        let program = self.programs.get_mut(&instance).expect("it was started");
        let era = program.era.expect("it has accepted a request");
        let open = &program.open[place];
        let (request, nonce) = (open.request.clone(), open.nonce().map(ToOwned::to_owned));
        let is_call = request["method"] == "tools/call";
        let id = &request["id"];
        let said = match (say, era) {
            (Say::NeedsInput(is_named), Era::Legacy) if is_call => {
                if open.is_cancelled || program.is_gone {
                    return;
                }
                return self.ask(instance, &request, &nonce.expect("a call has one"), is_named);
            }
            (Say::Progress, _) if is_call => {
                let params = json!({"progressToken": request["params"]["_meta"]["progressToken"], "progress": 1, "message": nonce});
                let said = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
                self.program_says(instance, &said);
                return self.run();
            }
            (Say::Log, _) => {
                let params = json!({"level": "info", "data": "x"});
                let said = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
                self.program_says(instance, &said);
                return self.run();
            }
            (Say::NeedsInput(has_state), Era::Modern) if is_call => {
                let nonce = nonce.expect("a call has one");
                let ask = json!({"method": "elicitation/create", "params": {"message": "?", "nonce": nonce}});
                let mut result =
                    json!({"resultType": "input_required", "inputRequests": {"a": ask, "b": ask}});
                if has_state {
                    let state = format!("state ä of {nonce}");
                    result["requestState"] = state.clone().into();
                    program.states.insert(state, nonce);
                }
                json!({"jsonrpc": "2.0", "id": id, "result": result})
            }
            (Say::Error, Era::Legacy) => {
                let url = json!({"elicitations": [{"mode": "url", "url": "x:y", "elicitationId": "e", "nonce": nonce}]});
                let code = if is_call { -32042 } else { -32002 };
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no", "data": url}})
            }
            (Say::Error, Era::Modern) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "no"}})
            }
            (Say::Result | Say::Progress | Say::NeedsInput(_), era) => {
                let result = write_result(era, SERVERS[program.server].0, &request, nonce.as_deref());
                json!({"jsonrpc": "2.0", "id": id, "result": result})
            }
        };
        program.open.swap_remove(place);
        self.program_says(instance, &said);
        self.run();
    }

    fn ask(&mut self, instance: InstanceId, request: &Value, nonce: &str, is_named: bool) {
        let number = self.questions.len();
        self.questions.push(Question { instance, nonce: nonce.to_owned(), is_answered: false });
        let mut params = json!({"message": "?", "question": number, "nonce": nonce});
        if is_named {
            params["_meta"] = json!({"exai/request": request["id"]});
        }
        let said = json!({"jsonrpc": "2.0", "id": format!("q{number}"), "method": "elicitation/create", "params": params});
        self.program_says(instance, &said);
        self.run();
    }

    fn question_answered(&mut self, instance: InstanceId, value: &Value) {
        let number = value["id"].as_str().and_then(|id| id.strip_prefix('q')?.parse::<usize>().ok());
        let number = number.expect("an answer to a question");
        let question = &mut self.questions[number];
        assert_eq!(question.instance, instance, "the server that has not asked is answered: {value}");
        assert!(!std::mem::replace(&mut question.is_answered, true), "answered twice: {value}");
        if value["error"].is_null() {
            assert_eq!(value["result"]["content"]["nonce"], question.nonce, "misrouted: {value}");
            assert_ne!(self.out_of_reach.as_ref(), Some(&question.nonce), "a foreign state has moved it");
        }
    }

    /// A program announces that its lists, and a resource, have changed.
    pub(super) fn change(&mut self, at: usize) {
        let all: Vec<InstanceId> = self
            .programs
            .iter()
            .filter(|(_, one)| !one.is_gone && one.era.is_some())
            .map(|(id, _)| *id)
            .collect();
        if all.is_empty() {
            return;
        }
        let instance = all[at % all.len()];
        self.announce(instance);
        self.run();
    }

    /// Lets an instance say that its lists, and a resource, have changed.
    pub(super) fn announce(&mut self, instance: InstanceId) {
        let program = &self.programs[&instance];
        let uri = format!("r://{}/s", SERVERS[program.server].0);
        let listens = match program.era {
            Some(Era::Modern) => program.listens.clone(),
            _ => vec![Value::Null],
        };
        for listen in listens {
            let meta = json!({"io.modelcontextprotocol/subscriptionId": listen});
            for (method, mut params) in
                [("tools/list_changed", json!({})), ("resources/updated", json!({"uri": uri}))]
            {
                if !listen.is_null() {
                    params["_meta"] = meta.clone();
                }
                let said =
                    json!({"jsonrpc": "2.0", "method": format!("notifications/{method}"), "params": params});
                self.program_says(instance, &said);
            }
        }
    }

    pub(super) fn exit(&mut self, at: usize) {
        let all: Vec<InstanceId> =
            self.programs.iter().filter(|(_, one)| !one.is_gone).map(|(id, _)| *id).collect();
        if !all.is_empty() {
            self.end_program(all[at % all.len()], "exited with status 1");
            self.run();
        }
    }
}

fn introduction_of_legacy() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}},
        "serverInfo": {"name": "real", "version": "9"},
    })
}

fn introduction_of_modern() -> Value {
    json!({
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}},
        "ttlMs": 60000,
        "cacheScope": "public",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "real", "version": "9"}},
    })
}

fn write_result(era: Era, server: &str, request: &Value, nonce: Option<&str>) -> Value {
    let mut result = match request["method"].as_str() {
        Some("tools/list") => json!({"tools": [{"name": "t"}]}),
        Some("prompts/list") => json!({"prompts": []}),
        Some("resources/list") => json!({"resources": [{"uri": format!("r://{server}/s"), "name": "s"}]}),
        Some("resources/templates/list") => {
            json!({"resourceTemplates": [{"uriTemplate": format!("r://{server}/{{n}}"), "name": "n"}]})
        }
        _ => json!({"nonce": nonce}),
    };
    if era == Era::Modern {
        result["resultType"] = "complete".into();
        result["ttlMs"] = 5.into();
        result["cacheScope"] = "public".into();
        result["_meta"] =
            json!({"io.modelcontextprotocol/serverInfo": {"name": "real", "version": "9"}, "own": 1});
    }
    result
}
