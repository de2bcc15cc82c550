//! Two hundred programs that all count their ids from zero, three servers, and a random order: no message is misrouted
//! or lost, and no request is answered twice. Programs open new links and answer questions that they got over earlier
//! links; servers ask questions and change their lists. Some programs may see a part of the servers and tools, and
//! another part from time to time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_mux::{Choice, ClientId, ClientName, Effect, Endpoint, Event, InstanceId};
use exai_proto::Message;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Bench, initialize, message, policy, server_result};

const SERVERS: [&str; 3] = ["a", "b", "c"];
const PROGRAMS: u64 = 200;

/// A request that a server has not answered yet.
#[derive(Clone)]
struct Open {
    instance: InstanceId,
    request: Value,
    /// The version of the server's list when the server got the request. The server reads the list at once but answers
    /// later.
    version: u64,
}

/// A question that a server has asked.
#[derive(Default)]
struct Question {
    /// The link over which the question came, and its number there. `None` if no client was asked.
    asked: Option<(ClientId, u64)>,
    answered: bool,
    /// The nonce of the call that the question names, if it names one.
    named: Option<String>,
}

/// All servers and programs. Servers answer with the nonce that they got, and programs check that the nonce is theirs.
struct World {
    bench: Bench,
    /// The program of every link so far, and the current link of each program.
    programs: HashMap<ClientId, u64>,
    links: HashMap<u64, ClientId>,
    open: Vec<Open>,
    /// The nonces of calls that are not answered yet, by client and id.
    sent: HashMap<(ClientId, u64), String>,
    /// The questions of the servers. A question's id is its index here.
    questions: Vec<Question>,
    /// The server of each instance, and the version of each server's list.
    servers: HashMap<InstanceId, usize>,
    versions: [u64; SERVERS.len()],
    /// What the programs named "few" may see.
    choice: Choice,
    /// The versions in the last `tools/list` answer that united all servers.
    listed: Option<Vec<Value>>,
}

impl World {
    fn new() -> Self {
        let shared = |name: &&str| Policy { share: Share::Shared, ..policy(name) };
        let mut world = World {
            bench: Bench::new(SERVERS.iter().map(shared).collect()),
            programs: HashMap::new(),
            links: HashMap::new(),
            open: Vec::new(),
            sent: HashMap::new(),
            questions: Vec::new(),
            servers: HashMap::new(),
            versions: [0; SERVERS.len()],
            choice: Choice::default(),
            listed: None,
        };
        for program in 1..=PROGRAMS {
            world.link(program);
        }
        world
    }

    /// A program opens a link. If it had a link before, it gives up the requests that it made over that one.
    fn link(&mut self, program: u64) {
        let client = ClientId(self.programs.len() as u64 + 1);
        self.programs.insert(client, program);
        if let Some(before) = self.links.insert(program, client) {
            self.sent.retain(|(of, _), _| *of != before);
            self.step(Event::Closed { client: before });
        }
        let endpoint = match program % 4 {
            3 => Endpoint::All,
            own => Endpoint::One(SERVERS[own as usize].into()),
        };
        let name = if is_few(program) { ClientName::Label("few".into()) } else { ClientName::Nameless };
        self.step(Event::Opened { client, endpoint, name, directory: None, stateless: false });
        self.says(program, &initialize(r#"{"sampling":{}}"#));
    }

    fn says(&mut self, program: u64, text: &str) {
        self.step(Event::FromClient { client: self.links[&program], message: message(text) });
    }

    fn server_says(&mut self, instance: InstanceId, said: &Value) {
        self.step(Event::FromServer { instance, message: message(&said.to_string()) });
    }

    fn call(&mut self, program: u64, id: u64, server: usize) {
        let client = self.links[&program];
        let server = if program % 4 == 3 { server } else { (program % 4) as usize };
        let nonce = format!("{}/{id}/{server}", client.0);
        if self.sent.contains_key(&(client, id)) {
            return;
        }
        let name = if program % 4 == 3 { format!("{}__t", SERVERS[server]) } else { "t".to_owned() };
        let params = json!({"name": name, "arguments": {"nonce": nonce}, "_meta": {"progressToken": id}});
        self.sent.insert((client, id), nonce);
        self.says(
            program,
            &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string(),
        );
    }

    /// Whether a program may call the tool of this server.
    fn may_call(&self, program: u64, server: usize) -> bool {
        let (choice, server) = (&self.choice, SERVERS[server]);
        !is_few(program) || choice.has_server(server) && choice.allows_tool(server, "t")
    }

    /// The program that has made the call with this nonce may call that tool.
    fn check_call(&self, nonce: &str, expected: bool) {
        let parts: Vec<u64> = nonce.split('/').map(|part| part.parse().expect("a number")).collect();
        let program = self.programs[&ClientId(parts[0])];
        assert_eq!(self.may_call(program, parts[2] as usize), expected, "program {program}: {nonce}");
    }

    /// The programs named "few" may see something else from now on.
    fn choose(&mut self, servers: u8, denied: Option<usize>) {
        let chosen = SERVERS.iter().enumerate().filter(|(at, _)| servers & (1 << at) != 0);
        let deny = denied.map(|server| format!("{}__*", SERVERS[server])).into_iter().collect();
        self.choice = Choice {
            servers: Some(chosen.map(|(_, name)| (*name).into()).collect()),
            tools: ToolFilter { deny, ..ToolFilter::default() },
        };
        self.step(Event::Chosen { choices: vec![("few".into(), self.choice.clone())] });
    }

    fn list(&mut self, program: u64) {
        self.says(program, r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#);
    }

    /// A server answers one of its open requests, or reports progress on it.
    fn answer(&mut self, at: usize, progress: bool) {
        if self.open.is_empty() {
            return;
        }
        let at = at % self.open.len();
        let progress = progress && self.open[at].request["method"] == "tools/call";
        let Open { instance, request, version } =
            if progress { self.open[at].clone() } else { self.open.swap_remove(at) };
        let nonce = &request["params"]["arguments"]["nonce"];
        let said = if progress {
            let token = &request["params"]["_meta"]["progressToken"];
            let params = json!({"progressToken": token, "progress": 1, "message": nonce});
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        } else {
            let result = match request["method"].as_str() {
                Some("tools/list") => json!({"tools": [{"name": "t", "version": version}]}),
                _ => json!({"nonce": nonce}),
            };
            json!({"jsonrpc": "2.0", "id": request["id"], "result": result})
        };
        self.server_says(instance, &said);
    }

    /// A server asks a question while it works on a request. It may name that request.
    fn ask(&mut self, at: usize, is_named: bool) {
        if self.open.is_empty() {
            return;
        }
        let Open { instance, request, .. } = &self.open[at % self.open.len()];
        let (instance, id) = (*instance, self.questions.len());
        let (own, mut params) = (format!("q{id}"), json!({"question": id}));
        // A list may be the router's own, which names nobody.
        let nonce = request["params"]["arguments"]["nonce"].as_str().filter(|_| is_named);
        if nonce.is_some() {
            params["_meta"] = json!({"exai/request": request["id"]});
        }
        // The program may have closed the link over which it made the call.
        let waits = nonce.is_some_and(|nonce| self.sent.values().any(|sent| sent == nonce));
        let named = nonce.map(ToOwned::to_owned);
        self.questions.push(Question { named: named.clone(), ..Question::default() });
        let said = json!({"jsonrpc": "2.0", "id": own, "method": "sampling/createMessage", "params": params});
        self.server_says(instance, &said);
        if named.is_some() {
            assert_eq!(self.questions[id].asked.is_some(), waits, "{named:?}: who waits is asked");
        }
    }

    /// A program answers a question over its current link.
    fn reply(&mut self, at: usize) {
        let asked = self.questions.iter().enumerate();
        let asked: Vec<_> = asked.filter_map(|(id, question)| Some((id, question.asked?))).collect();
        if asked.is_empty() {
            return;
        }
        let (id, (client, number)) = asked[at % asked.len()];
        let (program, before) = (self.programs[&client], self.questions[id].answered);
        self.says(program, &json!({"jsonrpc": "2.0", "id": number, "result": {"question": id}}).to_string());
        let counts = before || self.links[&program] == client;
        assert_eq!(self.questions[id].answered, counts, "only over the link that the question came over");
    }

    /// A server changes its list and announces the change.
    fn change(&mut self, server: usize) {
        self.versions[server] += 1;
        let said = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        let of_server = self.servers.iter().filter(|(_, of)| **of == server);
        let instances: Vec<InstanceId> = of_server.map(|(instance, _)| *instance).collect();
        for instance in instances {
            self.server_says(instance, &said);
        }
    }

    fn step(&mut self, event: Event) {
        for effect in self.bench.event(event) {
            match effect {
                Effect::ToServer { instance, bytes, .. } => {
                    self.server_hears(instance, parse(&bytes.into_whole()));
                }
                Effect::ToClient { client, bytes, .. } => self.received(client, &parse(&bytes.into_whole())),
                Effect::Dropped { client, .. } => panic!("{client:?} has cancelled nothing"),
                Effect::Start { instance, server, .. } => {
                    let server = SERVERS.iter().position(|name| **name == *server).expect("a known server");
                    self.servers.insert(instance, server);
                    self.step(Event::Up { instance });
                    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, server_result());
                    self.step(Event::FromServer { instance, message: message(&text) });
                }
                Effect::Unserved { client, .. } => panic!("no daemon drains, and {client:?} is not served"),
                Effect::Stop { .. }
                | Effect::Ready { .. }
                | Effect::Pinged { .. }
                | Effect::DiscoveryChanged { .. }
                | Effect::BehaviourChanged { .. }
                | Effect::Repeatable { .. }
                | Effect::GiveUp { .. } => {}
            }
        }
    }

    fn server_hears(&mut self, instance: InstanceId, value: Value) {
        let version = self.versions[self.servers[&instance]];
        match value["method"].as_str() {
            Some("tools/call") => {
                assert_eq!(value["params"]["name"], "t");
                let nonce = value["params"]["arguments"]["nonce"].as_str().expect("a nonce");
                self.check_call(nonce, true);
            }
            Some("tools/list") => {}
            Some(_) => return,
            None => {
                let own = value["id"].as_str().and_then(|id| id.strip_prefix('q')?.parse::<usize>().ok());
                let id = own.expect("an answer to a question");
                assert!(
                    !std::mem::replace(&mut self.questions[id].answered, true),
                    "answered twice: {value}"
                );
                assert!(
                    value.get("error").is_some() || value["result"]["question"] == id,
                    "misrouted: {value}"
                );
                return;
            }
        }
        self.open.push(Open { instance, request: value, version });
    }

    fn received(&mut self, client: ClientId, value: &Value) {
        assert_eq!(self.links[&self.programs[&client]], client, "this link is closed: {value}");
        if let Some(nonce) = value["result"]["nonce"].as_str() {
            let id = value["id"].as_u64().expect("ids are numbers here");
            let own = self.sent.remove(&(client, id));
            assert_eq!(own.as_deref(), Some(nonce), "misrouted or answered twice");
        } else if value["method"] == "notifications/progress" {
            let token = value["params"]["progressToken"].as_u64().expect("tokens are numbers here");
            let own = self.sent.get(&(client, token)).map(String::as_str);
            assert_eq!(own, value["params"]["message"].as_str(), "of another's request, or after its end");
        } else if value["method"] == "sampling/createMessage" {
            self.asked(client, value);
        } else if let Some(tools) = value["result"]["tools"].as_array() {
            let program = self.programs[&client];
            for name in tools.iter().filter_map(|tool| tool["name"].as_str()) {
                let server = name.split_once("__").map_or(SERVERS[(program % 4) as usize % 3], |(of, _)| of);
                let server = SERVERS.iter().position(|known| *known == server).expect("a known server");
                assert!(self.may_call(program, server), "program {program} is told of {name}");
            }
            self.listed = Some(tools.iter().map(|tool| tool["version"].clone()).collect());
        } else if value["error"].is_object() {
            assert!(is_few(self.programs[&client]), "unexpected: {value}");
            if let Some(nonce) = value["id"].as_u64().and_then(|id| self.sent.remove(&(client, id))) {
                self.check_call(&nonce, false);
            }
        } else {
            let told = value["method"].as_str().is_some_and(|method| method.ends_with("/list_changed"));
            assert!(told || value["result"]["protocolVersion"].is_string(), "unexpected: {value}");
        }
    }

    fn asked(&mut self, client: ClientId, value: &Value) {
        let number = value["id"].as_u64().expect("the router's number");
        let id = value["params"]["question"].as_u64().expect("a server's question") as usize;
        if let Some(named) = &self.questions[id].named {
            let own = format!("{}/{}/", client.0, value["params"]["_meta"]["exai/request"]);
            assert!(named.starts_with(&own), "it is about the request of {named}: {value}");
        } else {
            assert!(self.may_mean(client), "it may be meant for somebody else: {value}");
        }
        let before = self.questions.iter().filter_map(|question| question.asked);
        assert!(
            !before.map(|(_, number)| number).collect::<HashSet<_>>().contains(&number),
            "used before: {value}"
        );
        self.questions[id].asked = Some((client, number));
    }

    /// Whether a question that names no request may be meant for this client: there is an instance that works for no
    /// other.
    fn may_mean(&self, client: ClientId) -> bool {
        let of_link = format!("{}/", client.0);
        let own = |open: &Open| {
            let nonce = open.request["params"]["arguments"]["nonce"].as_str();
            nonce.is_none_or(|nonce| nonce.starts_with(&of_link))
        };
        self.servers
            .keys()
            .any(|instance| self.open.iter().filter(|open| open.instance == *instance).all(own))
    }

    /// Answers all open requests while time passes.
    fn settle(&mut self) {
        for _ in 0..120 {
            while !self.open.is_empty() {
                self.answer(0, false);
            }
            self.bench.now += Duration::from_secs(1);
            self.step(Event::Tick);
        }
    }
}

/// Whether the configuration chooses for a program: some programs of all servers, and some of the first.
fn is_few(program: u64) -> bool {
    matches!(program % 8, 4 | 7)
}

fn parse(bytes: &Bytes) -> Value {
    Message::parse(bytes.clone()).expect("everything sent is a message");
    serde_json::from_slice(bytes).expect("messages are JSON")
}

#[derive(Debug, Clone)]
enum Step {
    Call { program: u64, id: u64, server: usize },
    Answer { at: usize, progress: bool },
    Ask { at: usize, is_named: bool },
    Reply { at: usize },
    List { program: u64 },
    Change { server: usize },
    Link { program: u64 },
    Choose { servers: u8, denied: Option<usize> },
}

fn step(most: u64) -> impl Strategy<Value = Step> {
    let program = move || 1..=most;
    prop_oneof![
        8 => (program(), 0..8_u64, 0..3_usize).prop_map(|(program, id, server)| Step::Call { program, id, server }),
        8 => (any::<usize>(), any::<bool>()).prop_map(|(at, progress)| Step::Answer { at, progress }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, is_named)| Step::Ask { at, is_named }),
        2 => any::<usize>().prop_map(|at| Step::Reply { at }),
        1 => program().prop_map(|program| Step::List { program }),
        1 => (0..3_usize).prop_map(|server| Step::Change { server }),
        1 => program().prop_map(|program| Step::Link { program }),
        1 => (0..8_u8, proptest::option::of(0..3_usize))
            .prop_map(|(servers, denied)| Step::Choose { servers, denied }),
    ]
}

fn play(steps: Vec<Step>) {
    let mut world = World::new();
    for step in steps {
        match step {
            Step::Call { program, id, server } => world.call(program, id, server),
            Step::Answer { at, progress } => world.answer(at, progress),
            Step::Ask { at, is_named } => world.ask(at, is_named),
            Step::Reply { at } => world.reply(at),
            Step::List { program } => world.list(program),
            Step::Change { server } => world.change(server),
            Step::Link { program } => world.link(program),
            Step::Choose { servers, denied } => world.choose(servers, denied),
        }
    }
    world.settle();
    assert!(world.sent.is_empty(), "lost: {:?}", world.sent);
    // A client that asks for the list now must get every change, and all that it may see. Program 7 may see a part.
    for program in [3, 7] {
        world.listed = None;
        world.list(program);
        world.settle();
        let seen = (0..SERVERS.len()).filter(|server| world.may_call(program, *server));
        let current: Vec<Value> = seen.map(|server| json!(world.versions[server])).collect();
        assert_eq!(world.listed, Some(current), "a change was lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_misrouted_lost_or_answered_twice(steps in proptest::collection::vec(step(PROGRAMS), 0..2000)) {
        play(steps);
    }

    #[test]
    fn nothing_is_mistaken_where_few_ask_and_are_asked_a_lot(steps in proptest::collection::vec(step(4), 0..300)) {
        play(steps);
    }
}
