//! Servers: they execute calls, note each call in a ledger, and answer in any order.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use exai_mux::{Down, Era, Event, InstanceId, Unsent};
use exai_proto::client_question::NAMED_REQUEST;
use exai_proto::modern::SUBSCRIPTION_ID;
use exai_proto::{Message, envelope::Outcome};
use serde_json::{Value, json};

use crate::client::Told;
use crate::plan::SERVERS;
use crate::world::{self, World};

/// The longest time for a request that is no call.
const SHORT: Duration = Duration::from_millis(60);

#[derive(Debug)]
pub(crate) struct Server {
    /// The index of the server in [`SERVERS`].
    pub(crate) which: usize,
    phase: Phase,
    reads: VecDeque<Bytes>,
    /// The messages that the server is going to write, each with its time.
    says: Vec<(Duration, String)>,
    /// Whether the server has stopped answering, and below that whether it has stopped reading too.
    hung: bool,
    deaf: bool,
    /// The number of messages after which the server dies.
    doom: Option<u32>,
    /// The era of the first request that the server has accepted: it speaks no other from then on.
    era: Option<Era>,
    /// The open listens of the daemon.
    listens: Vec<Value>,
    /// The server's open questions: the id and the nonce of the call that each is about.
    asked: HashMap<String, (Value, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    /// The server is dead, but the daemon does not know it yet.
    Dead,
}

impl World {
    pub(crate) fn start_server(&mut self, instance: InstanceId, server: usize) {
        let quick = self.random.millis(80);
        let delay = std::mem::take(&mut self.slow_start[server]).max(quick);
        let Some(daemon) = &mut self.daemon else { return };
        let life = daemon.life;
        daemon.servers.insert(instance, Server::new(server));
        self.note(|| format!("server {} starts as {}", SERVERS[server], instance.0));
        self.after(delay, world::Event::Started(life, instance));
    }

    fn server(&mut self, life: u32, instance: InstanceId) -> Option<&mut Server> {
        let daemon = self.daemon.as_mut().filter(|daemon| daemon.life == life)?;
        daemon.servers.get_mut(&instance)
    }

    pub(crate) fn server_started(&mut self, life: u32, instance: InstanceId) {
        if self.waits_for_thaw(world::Event::Started(life, instance)) {
            return;
        }
        let Some(server) = self.server(life, instance).filter(|server| server.phase == Phase::Starting)
        else {
            return;
        };
        let number = server.which;
        server.phase = Phase::Running;
        if std::mem::take(&mut self.fail_start[number]) {
            self.daemon.iter_mut().for_each(|daemon| drop(daemon.servers.remove(&instance)));
            return self.route(Event::Down { instance, why: Down::because("could not be started: no") });
        }
        self.route(Event::Up { instance });
    }

    /// Defers the event if the daemon is frozen, and returns whether it is.
    fn waits_for_thaw(&mut self, event: world::Event) -> bool {
        let waits = self.now < self.frozen;
        if waits {
            self.at(self.frozen, event);
        }
        waits
    }

    pub(crate) fn to_server(&mut self, instance: InstanceId, bytes: Bytes, number: Option<u64>) {
        let delay = self.random.micros(3_000);
        // The daemon may not know yet that a dead or hanging server has stopped reading.
        let known = self.random.percent(50);
        let Some(daemon) = &mut self.daemon else { return };
        let life = daemon.life;
        let mut reads = false;
        let unsent = match daemon.servers.get_mut(&instance) {
            Some(server) if server.phase == Phase::Running && server.deaf && known => Some(Unsent::Full),
            Some(server) if server.phase == Phase::Running => {
                server.reads.push_back(bytes);
                reads = true;
                None
            }
            Some(server) if server.phase == Phase::Dead && !known => None,
            Some(_) | None => Some(Unsent::Ending(bytes.into())),
        };
        if let (Some(why), Some(number)) = (unsent, number) {
            daemon.pending.push_back(Event::Unsent { instance, number, why });
        }
        if reads {
            self.after(delay, world::Event::ServerReads(life, instance));
        }
    }

    pub(crate) fn server_reads(&mut self, life: u32, instance: InstanceId) {
        let Some(server) = self.server(life, instance) else { return };
        if server.phase != Phase::Running || server.deaf {
            return;
        }
        let Some(bytes) = server.reads.pop_front() else { return };
        let number = server.which;
        if server.doom == Some(0) {
            return self.server_dies(life, instance);
        }
        server.doom = server.doom.map(|messages| messages - 1);
        let Ok(message) = Message::parse(bytes) else {
            return self.fail("a server reads what is no message");
        };
        self.execute(number, &message);
        let long = if self.random.percent(20) { 8_000 } else { 600 };
        let work = self.random.millis(long);
        let heeds = self.random.percent(50);
        let Some(server) = self.server(life, instance) else { return };
        if let Some(cancelled) = cancelled(&message).filter(|_| heeds) {
            // A server that heeds the cancellation does not answer the request.
            server.says.retain(|(_, said)| !said.starts_with(&format!("{{\"id\":{cancelled},")));
        }
        for (delay, said) in server.answer(&message, work) {
            let said = match said {
                Ok(said) => said,
                Err(sentence) => return self.fail(sentence),
            };
            let when = self.now + delay;
            if let Some(server) = self.server(life, instance) {
                server.says.push((when, said));
            }
            self.at(when, world::Event::ServerSays(life, instance));
        }
    }

    /// Notes a call as executed. From here on the execution counts.
    fn execute(&mut self, server: usize, message: &Message) {
        let Some(value) = request(message).filter(|value| value["method"] == "tools/call") else { return };
        // What continues a call is no further call.
        if !value["params"]["inputResponses"].is_null() {
            return;
        }
        let nonce = value["params"]["arguments"]["nonce"].as_str().unwrap_or_default();
        let place =
            nonce.split_once('/').and_then(|(shim, call)| Some((shim.parse().ok()?, call.parse().ok()?)));
        self.note(|| format!("server {} executes {nonce}", SERVERS[server]));
        let call = place
            .and_then(|(shim, call): (usize, usize)| self.shims.get_mut(shim)?.client.calls.get_mut(call));
        let Some(call) = call.filter(|call| call.server == Some(server)) else {
            return self.fail(format!("executed by the wrong server: {nonce}"));
        };
        call.executed += 1;
        let (executed, most, told) = (call.executed, call.most, call.told);
        self.twice += u32::from(executed == 2);
        if executed > most {
            self.fail(format!("executed {executed} times: {nonce}"));
        }
        if told == Told::NotSent {
            self.fail(format!("told as not sent, and executed after that: {nonce}"));
        }
    }

    pub(crate) fn read_the_rest(&mut self, server: Server) {
        for bytes in server.reads {
            if server.phase == Phase::Running
                && !server.deaf
                && server.doom.is_none()
                && let Ok(message) = Message::parse(bytes)
            {
                self.execute(server.which, &message);
            }
        }
    }

    pub(crate) fn server_says(&mut self, life: u32, instance: InstanceId) {
        if self.waits_for_thaw(world::Event::ServerSays(life, instance)) {
            return;
        }
        let now = self.now;
        let Some(server) = self.server(life, instance) else { return };
        if server.hung {
            return;
        }
        let Some(at) = server.says.iter().position(|(when, _)| *when <= now) else { return };
        let (_, said) = server.says.remove(at);
        let dead = server.phase == Phase::Dead;
        let Ok(message) = Message::parse(said.into()) else { return self.fail("a server says no message") };
        if !dead {
            self.route(Event::FromServer { instance, message });
        }
    }

    fn server_dies(&mut self, life: u32, instance: InstanceId) {
        let delay = self.random.millis(5);
        let Some(server) = self.server(life, instance) else { return };
        server.phase = Phase::Dead;
        self.note(|| format!("server {} dies", instance.0));
        self.after(delay, world::Event::ServerEnds(life, instance));
    }

    pub(crate) fn server_ends(&mut self, life: u32, instance: InstanceId) {
        if self.waits_for_thaw(world::Event::ServerEnds(life, instance)) {
            return;
        }
        let Some(daemon) = self.daemon.as_mut().filter(|daemon| daemon.life == life) else { return };
        if daemon.servers.remove(&instance).is_some() {
            self.route(Event::Down { instance, why: Down::because("was killed by SIGKILL") });
        }
    }

    /// The daemon stops the server, which may still execute the calls that it has already read.
    pub(crate) fn stop_server(&mut self, instance: InstanceId) {
        let Some(daemon) = &self.daemon else { return };
        let life = daemon.life;
        let Some(server) = self.server(life, instance) else { return };
        let rest = std::mem::take(&mut server.reads);
        let (number, phase, deaf) = (server.which, server.phase, server.deaf);
        if phase == Phase::Running && !deaf {
            let mut last = Server::new(number);
            (last.reads, last.phase) = (rest, Phase::Running);
            self.read_the_rest(last);
        }
        self.server_dies(life, instance);
    }

    pub(crate) fn doom_server(&mut self, server: usize, messages: u32) {
        let Some(daemon) = &mut self.daemon else { return };
        let life = daemon.life;
        let running =
            |(_, one): &(&InstanceId, &mut Server)| one.which == server && one.phase == Phase::Running;
        let doomed = daemon.servers.iter_mut().find(running).map(|(id, one)| {
            one.doom = Some(messages);
            *id
        });
        if let (Some(instance), 0) = (doomed, messages) {
            self.server_dies(life, instance);
        }
    }

    pub(crate) fn hang_server(&mut self, server: usize, deaf: bool) {
        let servers = self.daemon.iter_mut().flat_map(|daemon| daemon.servers.values_mut());
        for one in servers.filter(|one| one.which == server) {
            (one.hung, one.deaf) = (true, deaf);
        }
    }
}

impl Server {
    fn new(which: usize) -> Self {
        let (reads, says, asked, listens) = Default::default();
        let (hung, deaf, doom) = (false, false, None);
        Server { which, phase: Phase::Starting, reads, says, hung, deaf, doom, era: None, listens, asked }
    }

    fn can(&self, era: Era) -> bool {
        let speaks = match SERVERS[self.which] {
            "a" => true,
            "b" => era == Era::Legacy,
            _ => era == Era::Modern,
        };
        speaks && self.era.is_none_or(|own| own == era)
    }

    /// What is wrong with a message for the era that the server speaks.
    fn check(&self, whole: &Value) -> Result<(), String> {
        let (method, meta) = (whole["method"].as_str(), &whole["params"]["_meta"]);
        let has = |key: &str| !meta[format!("io.modelcontextprotocol/{key}")].is_null();
        let keys = ["protocolVersion", "clientInfo", "clientCapabilities"];
        let is_right = match (self.era, method) {
            (Some(Era::Modern), None) => false,
            // A server that says nothing about its era is asked in the other one as well.
            (Some(Era::Modern), Some("notifications/cancelled" | "initialize")) => true,
            (Some(Era::Modern), Some(_)) => !whole["id"].is_null() && keys.into_iter().all(has),
            (Some(Era::Legacy), _) => {
                let state = &whole["params"]["requestState"];
                method == Some("server/discover") || !keys.into_iter().any(has) && state.is_null()
            }
            (None, _) => matches!(method, Some("initialize" | "server/discover")),
        };
        if is_right { Ok(()) } else { Err(format!("not for a server of {:?}: {whole}", self.era)) }
    }

    /// The server's replies to a message, each with its delay, or what is wrong with the message.
    fn answer(&mut self, message: &Message, work: Duration) -> Vec<(Duration, Result<String, String>)> {
        let whole: Value = serde_json::from_slice(message.bytes()).unwrap_or_default();
        if let Err(wrong) = self.check(&whole) {
            return vec![(work, Err(wrong))];
        }
        if let Some(era) = match whole["method"].as_str() {
            Some("server/discover") => Some(Era::Modern),
            Some("initialize") => Some(Era::Legacy),
            _ => None,
        } {
            if !self.can(era) {
                let error = json!({"code": -32022, "message": "no", "data": {"supported": ["2026-07-28"]}});
                let refusal = json!({"jsonrpc": "2.0", "id": whole["id"], "error": error});
                return vec![(work.min(SHORT), Ok(refusal.to_string()))];
            }
            self.era = Some(era);
        }
        let era = self.era;
        let result = |id: &Value, result: &Value| {
            let mut result = result.clone();
            if era == Some(Era::Modern) && result["resultType"].is_null() {
                result["resultType"] = "complete".into();
            }
            json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()
        };
        if let exai_proto::Kind::Response { id, outcome } = message.kind() {
            let Some((call, nonce)) = self.asked.remove(message.str_at(id)) else {
                return vec![(work, Err("a server is answered what it has not asked".to_owned()))];
            };
            if matches!(outcome, Outcome::Result(_)) && whole["result"]["nonce"] != *nonce {
                return vec![(
                    work,
                    Err(format!("a server's question about {nonce} is answered by {whole}")),
                )];
            }
            return vec![(work, Ok(result(&call, &json!({"nonce": nonce}))))];
        }
        let (id, params) = (&whole["id"], &whole["params"]);
        match whole["method"].as_str().unwrap_or_default() {
            "initialize" => {
                let said = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": SERVERS[self.which], "version": "1"},
                    "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}}});
                vec![(work.min(SHORT), Ok(result(id, &said)))]
            }
            "server/discover" => {
                let said = json!({"supportedVersions": ["2026-07-28"], "ttlMs": 1, "cacheScope": "public",
                    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": SERVERS[self.which], "version": "1"}},
                    "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}}});
                vec![(work.min(SHORT), Ok(result(id, &said)))]
            }
            "subscriptions/listen" => {
                self.listens.push(id.clone());
                let params =
                    json!({"notifications": params["notifications"], "_meta": {SUBSCRIPTION_ID: id}});
                let told = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params});
                vec![(work.min(SHORT), Ok(told.to_string()))]
            }
            "notifications/cancelled" => {
                self.listens.retain(|listen| *listen != params["requestId"]);
                Vec::new()
            }
            "tools/list" => vec![(work.min(SHORT), Ok(result(id, &tools())))],
            "resources/list" => {
                let uri = format!("{}:x", SERVERS[self.which]);
                vec![(work.min(SHORT), Ok(result(id, &json!({"resources": [{"uri": uri, "name": "x"}]}))))]
            }
            "tools/call" => self.call(id, params, work, result),
            _ if id.is_null() => Vec::new(),
            _ => vec![(work.min(SHORT), Ok(result(id, &json!({}))))],
        }
    }

    fn call(
        &mut self,
        id: &Value,
        params: &Value,
        work: Duration,
        result: impl Fn(&Value, &Value) -> String,
    ) -> Vec<(Duration, Result<String, String>)> {
        let nonce = &params["arguments"]["nonce"];
        let answers = params["inputResponses"].as_object();
        if answers.into_iter().flatten().any(|(_, answer)| answer["nonce"] != *nonce) {
            return vec![(work, Err(format!("what {nonce} needs is given by another: {params}")))];
        }
        if params["name"] == "ask" && self.era == Some(Era::Modern) && answers.is_none() {
            if params["_meta"]["io.modelcontextprotocol/clientCapabilities"]["sampling"].is_null() {
                let error = json!({"code": -32021, "message": "no", "data": {"requiredCapabilities": {"sampling": {}}}});
                return vec![(work, Ok(json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()))];
            }
            let ask = json!({"method": "sampling/createMessage", "params": {"nonce": nonce}});
            let needed =
                json!({"resultType": "input_required", "inputRequests": {"k": ask}, "requestState": nonce});
            return vec![(work / 4, Ok(result(id, &needed)))];
        }
        if params["name"] == "ask" && self.era == Some(Era::Legacy) {
            let question = format!("q-{}", nonce.as_str().unwrap_or_default());
            let key = json!(question).to_string();
            self.asked.insert(key, (id.clone(), nonce.as_str().unwrap_or_default().to_owned()));
            let mut params = json!({"nonce": nonce});
            // Every other question names the call.
            if id.as_u64().is_some_and(|id| id % 2 == 0) {
                params["_meta"] = json!({NAMED_REQUEST: id});
            }
            let ask = json!({"jsonrpc": "2.0", "id": question, "method": "sampling/createMessage", "params": params});
            return vec![(work / 4, Ok(ask.to_string()))];
        }
        let mut says = Vec::new();
        let token = &params["_meta"]["progressToken"];
        if !token.is_null() {
            for step in 1..=3 {
                let told = json!({"progressToken": token, "progress": step, "message": nonce});
                let told = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": told});
                says.push((work * step / 4, Ok(told.to_string())));
            }
        }
        says.push((work, Ok(result(id, &json!({"nonce": nonce})))));
        says
    }
}

fn request(message: &Message) -> Option<Value> {
    serde_json::from_slice(message.bytes()).ok()
}

/// The id of the request that the message cancels.
fn cancelled(message: &Message) -> Option<u64> {
    let value = request(message).filter(|value| value["method"] == "notifications/cancelled")?;
    value["params"]["requestId"].as_u64()
}

fn tools() -> Value {
    json!({"tools": [
        {"name": "write"},
        {"name": "odd", "annotations": {"readOnlyHint": true, "destructiveHint": true}},
        {"name": "read", "annotations": {"readOnlyHint": true}},
        {"name": "again", "annotations": {"idempotentHint": true}},
        {"name": "ask"},
    ]})
}
