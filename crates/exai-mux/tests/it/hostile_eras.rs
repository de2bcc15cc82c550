//! Ten thousand wrong messages of clients and servers of the modern era: each gets the code that the specification names,
//! nobody else hears of it, and what others have under way goes on.

use exai_mux::policy::{Policy, Share};
use exai_mux::{Endpoint, Era};
use exai_test::Random;
use serde_json::{Value, json};

use crate::eras::{discover_result, legacy_result, modern, number, request, result, unknown};
use crate::parked::{QUESTION, asks, retry};
use crate::support::{Bench, initialize, only, policy};

const ATTEMPTS: usize = 10_000;
/// The victims, and the attackers with their servers.
const VICTIMS: u64 = 4;
const ATTACKERS: [(u64, &str); 3] = [(11, "bridged"), (12, "new"), (13, "all")];
const LEGACY_ATTACKER: u64 = 14;
/// The instances.
const BRIDGED: u64 = 0;
const NEW: u64 = 1;

const ODD: [&str; 12] = [
    "null",
    "true",
    "7",
    "-1.5e300",
    "\"\"",
    "\"\\u0000\"",
    "[]",
    "[1]",
    "{}",
    "{\"a\":{}}",
    "\"2026-07-28\"",
    "[[[[]]]]",
];

/// A router with people who have something under way:
///
/// - 1, modern, has a parked call at the bridged server;
/// - 2, modern, has a call `5` and a listen `6` at the modern server;
/// - 3, legacy, is asked for what the modern server needs;
/// - 4, legacy, has a call `5` at the bridged server, in which nothing happens.
struct Scene {
    bench: Bench,
    /// The request state of 1.
    state: String,
    /// The number of the call of 2 at the modern server, and of the listen of the router.
    call: u64,
    listen: Value,
    /// The number of the question to 3.
    question: Value,
}

fn sent<'a>(lines: &'a [String], whom: &'a str) -> impl Iterator<Item = Value> + 'a {
    let own = lines.iter().filter_map(move |line| line.strip_prefix(whom)?.strip_prefix(" <- "));
    own.map(|line| serde_json::from_str(line).expect("JSON"))
}

fn number_of(lines: &[String], server: &str, method: &str) -> u64 {
    let mut calls = sent(lines, server).filter(|one| one["method"] == method);
    calls.next().expect("it is sent")["id"].as_u64().expect("a number")
}

impl Scene {
    fn new() -> Self {
        let bridged = Policy { bridge: true, share: Share::Shared, ..policy("bridged") };
        let mut bench = Bench::new(vec![bridged, modern("new")]);
        let endpoint = |name: &str| if name == "all" { Endpoint::All } else { Endpoint::One(name.into()) };
        for (client, name) in
            [(1, "bridged"), (2, "new"), (3, "new"), (4, "bridged")].into_iter().chain(ATTACKERS)
        {
            bench.open(client, endpoint(name));
        }
        let call = request(5, "tools/call", r#""name":"t","arguments":{"x":1},"#);
        bench.says(1, &call);
        bench.up(BRIDGED);
        bench.server_says(BRIDGED, &result(1, &legacy_result()));
        bench.says(2, &call);
        let asked = number(&bench.up(NEW), "server 1");
        let lines = bench.server_says(NEW, &result(asked, &discover_result()));
        let call = number_of(&lines, "server 1", "tools/call");
        bench.says(2, &request(6, "subscriptions/listen", r#""notifications":{"toolsListChanged":true},"#));
        let listen = sent(&lines, "server 1").find(|one| one["method"] == "subscriptions/listen");
        bench.says(3, &initialize(r#"{"elicitation":{}}"#));
        let lines = bench.says(3, r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#);
        let needed = json!({"resultType": "input_required", "inputRequests": {"k": {"method": "elicitation/create", "params": {}}}});
        let lines = bench.server_says(NEW, &result(number_of(&lines, "server 1", "tools/call"), &needed));
        let question = only(&lines, "client 3")["id"].clone();
        let state = asks(&mut bench, QUESTION)["result"]["requestState"].clone();
        bench.says(4, &initialize("{}"));
        bench.says(4, r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#);
        bench.ready(2);
        bench.open(LEGACY_ATTACKER, Endpoint::One("new".into()));
        bench.says(LEGACY_ATTACKER, &initialize(r#"{"elicitation":{}}"#));
        let state = state.as_str().expect("a state").to_owned();
        Scene { bench, state, call, listen: listen.expect("the router listens")["id"].clone(), question }
    }

    /// No victim hears anything of what has happened.
    fn check(&self, what: &str, lines: &[String]) {
        let told = |client: u64| lines.iter().any(|line| line.starts_with(&format!("client {client} ")));
        assert!(!(1..=VICTIMS).any(told), "{what} reaches a victim: {lines:?}");
        let counts = self.bench.router.counts();
        assert_eq!((counts.parked, counts.asked), (1, 1), "{what}: {lines:?}");
    }

    /// What was under way before goes on.
    fn finish(mut self) {
        let lines = self.bench.says(1, &retry(9, &self.state, r#"{"q":{"action":"accept"}}"#));
        assert_eq!(only(&lines, "server 0")["id"], "q", "{lines:?}");
        let lines = self
            .bench
            .server_says(NEW, &result(self.call, &json!({"resultType": "complete", "content": []})));
        assert_eq!(only(&lines, "client 2")["id"], 5);
        let answer = json!({"jsonrpc": "2.0", "id": self.question, "result": {"action": "accept"}});
        let lines = self.bench.says(3, &answer.to_string());
        assert_eq!(only(&lines, "server 1")["params"]["inputResponses"], json!({"k": {"action": "accept"}}));
        let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": self.listen}}});
        let lines = self.bench.server_says(NEW, &changed.to_string());
        let told = only(&lines, "client 2");
        assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 6);
    }
}

/// `_meta` whose members say this. `None` leaves a member out.
fn meta(version: Option<&str>, info: Option<&str>, capabilities: Option<&str>) -> String {
    let members = [("protocolVersion", version), ("clientInfo", info), ("clientCapabilities", capabilities)];
    let said = members
        .into_iter()
        .filter_map(|(key, value)| Some(format!(r#""io.modelcontextprotocol/{key}":{}"#, value?)));
    format!("{{{}}}", said.collect::<Vec<_>>().join(","))
}

fn one<'a>(random: &mut Random, of: &[&'a str]) -> &'a str {
    of[random.below(of.len())]
}

/// A wrong request, and the code with which it must be refused.
fn wrong_request(random: &mut Random, scene: &Scene, server: &str) -> (String, i64) {
    const VERSION: &str = "\"2026-07-28\"";
    const INFO: &str = r#"{"name":"m","version":"2"}"#;
    let odd = one(random, &ODD);
    let not_object: Vec<&str> = ODD.into_iter().filter(|odd| !odd.starts_with('{')).collect();
    let with = |method: &str, members: &str, meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{members}"_meta":{meta}}}}}"#)
    };
    let right = meta(Some(VERSION), Some(INFO), Some(r#"{"elicitation":{}}"#));
    let methods = [
        "tools/call",
        "tools/list",
        "server/discover",
        "subscriptions/listen",
        "resources/read",
        "ping",
        "x/y",
    ];
    let method = one(random, &methods);
    match random.below(12) {
        // No capabilities, or such that are none.
        0 => (with(method, "", &meta(Some(VERSION), Some(INFO), None)), -32602),
        1 => (with(method, "", &meta(Some(VERSION), Some(odd), Some(one(random, &not_object)))), -32602),
        // A revision that is none, or is not known.
        2 => {
            let no_text: Vec<&str> = ODD.into_iter().filter(|odd| !odd.starts_with('"')).collect();
            (with(method, "", &meta(Some(one(random, &no_text)), Some(INFO), Some("{}"))), -32602)
        }
        3 => {
            let version = format!(
                "\"{}\"",
                one(random, &["2025-11-25", "2026-07-29", "", "x", "DRAFT-2026", "2026-07-28 "])
            );
            (with(method, "", &meta(Some(&version), Some(odd), Some(odd))), -32022)
        }
        // Two that contradict each other.
        4 => {
            let twice = right.replacen('{', r#"{"io.modelcontextprotocol/protocolVersion":"2025-11-25","#, 1);
            (with(method, "", &twice), -32602)
        }
        5 => {
            let twice = right.replacen('{', r#"{"io.modelcontextprotocol/clientCapabilities":{},"#, 1);
            (with(method, "", &twice), -32602)
        }
        // `_meta` that is no object makes a request of the legacy era, without a session.
        6 => {
            let code =
                if matches!(method, "server/discover" | "subscriptions/listen") { -32602 } else { -32600 };
            let method = if method == "ping" { "tools/list" } else { method };
            (with(method, "", one(random, &not_object)), code)
        }
        // What the era does not have.
        7 => {
            let gone =
                ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "initialize"];
            (with(one(random, &gone), r#""uri":"r://x","level":"info","#, &right), -32601)
        }
        // Request states that lead nowhere, or to others.
        8 if server == "bridged" => {
            let state = match random.below(4) {
                0 => format!("\"{}\"", scene.state),
                1 => format!("\"exai-{:016x}{:016x}\"", random.number(), random.number()),
                2 => format!("\"{}\"", &scene.state[..random.below(scene.state.len())]),
                _ => odd.to_owned(),
            };
            let members = format!(
                r#""name":"t","arguments":{{"x":1}},"inputResponses":{{"q":{{"action":"accept"}}}},"requestState":{state},"#
            );
            (with("tools/call", &members, &right), -32602)
        }
        // Listens that want nothing that can be read, or too much.
        9 => {
            let filter: Vec<&str> = ODD.into_iter().filter(|odd| !odd.starts_with('{')).collect();
            let members = match random.below(3) {
                0 => String::new(),
                1 => format!(r#""notifications":{},"#, one(random, &filter)),
                _ => {
                    let uris = vec!["\"r://x\""; 1025].join(",");
                    format!(r#""notifications":{{"resourceSubscriptions":[{uris}]}},"#)
                }
            };
            (with("subscriptions/listen", &members, &right), -32602)
        }
        10 => {
            let uri = "r".repeat(8193);
            let members = format!(r#""notifications":{{"resourceSubscriptions":["r://x","{uri}"]}},"#);
            (with("subscriptions/listen", &members, &right), -32602)
        }
        _ => (with(method, "", &meta(Some(VERSION), None, None)), -32602),
    }
}

/// What a client says that asks for nothing: it is of no effect.
fn wrong_word(random: &mut Random, scene: &Scene) -> String {
    let odd = one(random, &ODD);
    let number = match random.below(3) {
        0 => scene.question.to_string(),
        1 => random.below(20).to_string(),
        _ => (random.number() >> 11).to_string(),
    };
    match random.below(6) {
        0 => format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{"action":"accept"}}}}"#),
        1 => format!(r#"{{"jsonrpc":"2.0","id":{number},"error":{{"code":1,"message":"no"}}}}"#),
        2 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number}}}}}"#
        ),
        3 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{odd}}}}}"#
        ),
        4 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{number},"progress":1}}}}"#
        ),
        _ => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{}","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":{odd}}}}}}}"#,
            one(random, &["initialized", "roots/list_changed", "x", "subscriptions/acknowledged"])
        ),
    }
}

/// What a server says that belongs to nothing: no client hears of it.
fn foreign_word(random: &mut Random, scene: &Scene) -> String {
    let odd = one(random, &ODD);
    let own = [
        one(random, &ODD).to_owned(),
        (random.below(1000) + 1000).to_string(),
        format!("\"{}\"", scene.listen),
    ];
    let id = one(random, &own.each_ref().map(String::as_str));
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    match random.below(8) {
        0 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{odd},{meta}}}}}"#
        ),
        1 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{odd},"_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}}}}}"#,
            scene.listen
        ),
        2 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":{odd},{meta}}}}}"#
        ),
        3 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":1,{meta}}}}}"#
        ),
        4 => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},{meta}}}}}"#
        ),
        5 => format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":{odd}}}}}"#,
            random.below(1000) + 1000
        ),
        6 => format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"{}","params":{{{meta}}}}}"#,
            one(random, &["elicitation/create", "sampling/createMessage", "roots/list", "exai/client", "x"])
        ),
        _ => format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":{odd},"data":1,{meta}}}}}"#
        ),
    }
}

/// A need for input that cannot be met: the legacy client that waits for the answer is told so, and nobody is asked.
fn wrong_need(random: &mut Random) -> String {
    let not_object: Vec<&str> = ODD.into_iter().filter(|odd| !odd.starts_with('{')).collect();
    let requests = match random.below(5) {
        0 => one(random, &not_object).to_owned(),
        1 => format!(r#"{{"k":{}}}"#, one(random, &ODD)),
        2 => format!(
            r#"{{"k":{{"method":"{}","params":{{}}}}}}"#,
            one(random, &["tools/call", "ping", "initialize", "exai/client", "", "elicitation/create\\n"])
        ),
        3 => {
            let count = if random.below(20) == 0 { 10_000 } else { 17 + random.below(20) };
            let many = (0..count).map(|key| format!(r#""{key}":{{"method":"elicitation/create"}}"#));
            format!("{{{}}}", many.collect::<Vec<_>>().join(","))
        }
        _ => format!(
            r#"{{"k":{{"method":"elicitation/create"}},"k":{{"method":"elicitation/create","params":{}}}}}"#,
            one(random, &ODD)
        ),
    };
    format!(
        r#"{{"resultType":"input_required","inputRequests":{requests},"requestState":{}}}"#,
        one(random, &ODD)
    )
}

#[test]
fn ten_thousand_wrong_messages_have_no_effect_and_the_right_code() {
    let random = &mut Random::new(15);
    let mut scene = Scene::new();
    for attempt in 0..ATTEMPTS {
        let (client, server) = *random.pick(&ATTACKERS);
        match random.below(8) {
            0..=3 => {
                let (text, code) = wrong_request(random, &scene, server);
                let lines = scene.bench.says(client, &text);
                scene.check(&text, &lines);
                assert_eq!(lines.len(), 1, "attempt {attempt}: {text}: {lines:?}");
                let refused = only(&lines, &format!("client {client}"));
                let what = format!("attempt {attempt} at {server}: {text}: {refused}");
                assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(code)), "{what}");
                if code == -32022 {
                    let supported = refused["error"]["data"]["supported"].as_array();
                    assert!(supported.is_some_and(|all| all.contains(&json!("2026-07-28"))), "{what}");
                    assert!(refused["error"]["data"]["requested"].is_string(), "{what}");
                }
            }
            4 => {
                let text = wrong_word(random, &scene);
                let lines = scene.bench.says(client, &text);
                scene.check(&text, &lines);
                assert!(lines.is_empty(), "attempt {attempt}: {text}: {lines:?}");
            }
            5 | 6 => {
                let (text, instance) = (foreign_word(random, &scene), *random.pick(&[NEW, BRIDGED]));
                // Old servers say to nobody in particular what they log, and what their extensions know.
                if instance == BRIDGED && text.contains("notifications/message") {
                    continue;
                }
                let lines = scene.bench.server_says(instance, &text);
                scene.check(&text, &lines);
                let is_client = lines.iter().any(|line| line.starts_with("client"));
                assert!(!is_client, "attempt {attempt}: {text}: {lines:?}");
                assert!(instance == BRIDGED || lines.is_empty(), "attempt {attempt}: {text}: {lines:?}");
            }
            _ => {
                let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
                let number = number_of(&scene.bench.says(LEGACY_ATTACKER, call), "server 1", "tools/call");
                let need = wrong_need(random);
                let lines = scene
                    .bench
                    .server_says(NEW, &format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{need}}}"#));
                scene.check(&need, &lines);
                let refused = only(&lines, &format!("client {LEGACY_ATTACKER}"));
                assert_eq!(refused["error"]["code"], -32603, "attempt {attempt}: {need}: {lines:?}");
            }
        }
    }
    scene.finish();
}

#[test]
fn whatever_a_server_says_of_itself_clients_are_told_what_they_can_use() {
    let random = &mut Random::new(16);
    for attempt in 0..500 {
        let mut said = discover_result();
        let members = [
            "resultType",
            "supportedVersions",
            "capabilities",
            "instructions",
            "ttlMs",
            "cacheScope",
            "_meta",
        ];
        for _ in 0..=random.below(3) {
            let member = one(random, &members);
            match random.below(3) {
                0 => _ = said.as_object_mut().expect("an object").remove(member),
                1 => said[member] = serde_json::from_str(one(random, &ODD)).expect("JSON"),
                _ => {
                    said["capabilities"] =
                        json!({"tools": 7, "resources": [], "extensions": "x", "experimental": 1});
                }
            }
        }
        let mut bench = Bench::new(vec![unknown("a")]);
        bench.open(1, Endpoint::One("a".into()));
        bench.open(2, Endpoint::One("a".into()));
        bench.says(1, &request(1, "server/discover", ""));
        let asked = number(&bench.up(0), "server 0");
        let lines = bench.server_says(0, &result(asked, &said));
        let what = format!("attempt {attempt}: {said}: {lines:?}");
        let speaks =
            said["supportedVersions"].as_array().is_some_and(|all| all.contains(&json!("2026-07-28")));
        if speaks {
            let told = only(&lines, "client 1")["result"].clone();
            assert_eq!((&told["resultType"], &told["ttlMs"]), (&json!("complete"), &json!(0)), "{what}");
            assert_eq!(told["supportedVersions"], json!(["2026-07-28"]), "{what}");
            assert!(told["capabilities"].is_object(), "{what}");
            assert!(told["instructions"].is_null() || told["instructions"].is_string(), "{what}");
            assert!(told["_meta"].is_null() || told["_meta"].is_object(), "{what}");
        } else {
            assert_eq!(only(&lines, "server 0")["method"], "initialize", "{what}");
            let lines = bench.server_says(0, &result(asked + 1, &legacy_result()));
            assert_eq!(only(&lines, "client 1")["error"]["code"], -32601, "{what}");
        }
        // A session is of the legacy era, whatever the server has said in the other.
        let lines = bench.says(2, &initialize("{}"));
        let expected = if speaks { Era::Modern } else { Era::Legacy };
        let verdicts = bench.router.era_verdicts("a");
        assert!(verdicts.iter().any(|(era, one)| *era == expected && one.speaks), "{what}: {lines:?}");
    }
}
