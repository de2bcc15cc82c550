//! The origin's wire on `/`: the protocol of the project that exai comes from. `tests/peers/origin_shim.py` is an
//! independent client of it; `peers` runs that.

use std::time::{Duration, Instant};

use exai_test::eventually;
use serde_json::{Value, json};

use crate::http::http;
use crate::support::{Instance, LIMIT, fixture};
use crate::websocket::{BINARY, CLOSE, FINAL, Next, Raw, TEXT, announced};

const MIB: usize = 1024 * 1024;

/// A client of the origin's wire.
pub(crate) struct Origin {
    raw: Raw,
}

impl Origin {
    /// A connection that has said nothing yet.
    fn connect(port: u16) -> Self {
        Origin { raw: Raw::open_at(port, "/", "") }
    }

    pub(crate) fn join(instance: &Instance) -> Self {
        Origin::join_with(instance.port(), &instance.token())
    }

    pub(crate) fn join_with(port: u16, token: &str) -> Self {
        let mut client = Origin::connect(port);
        client.say(&json!({"op": "hello", "session_id": "mine", "token": token}));
        let welcome = client.hear();
        assert_eq!((&welcome["op"], &welcome["ok"]), (&json!("hello_ack"), &json!(true)), "{welcome}");
        assert!(welcome["session_id"].as_str().is_some_and(|id| id.len() >= 32), "{welcome}");
        client
    }

    /// The code with which the daemon closes the connection, after whatever it has said before.
    pub(crate) fn close_code(&mut self) -> u16 {
        self.raw.close_code()
    }

    fn say(&mut self, op: &Value) {
        self.raw.send(FINAL | TEXT, op.to_string().as_bytes());
    }

    fn hear(&mut self) -> Value {
        self.raw.message()
    }

    fn begin(&mut self, request_id: &str, name: &str, arguments: &Value) {
        self.say(&json!({"op": "call_tool", "request_id": request_id, "name": name, "arguments": arguments}));
    }

    /// The result of a call, and the other frames that came before it.
    #[track_caller]
    fn result(&mut self) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let frame = self.hear();
            if frame["op"] == "call_tool_res" {
                return (frame, before);
            }
            before.push(frame);
        }
    }

    #[track_caller]
    pub(crate) fn call(&mut self, name: &str, arguments: &Value) -> Value {
        self.begin("a call", name, arguments);
        let (result, _) = self.result();
        assert_eq!(result["request_id"], "a call", "{result}");
        result
    }

    /// The tools, once all of `wanted` are listed: a list waits for a server for no longer than 1.4 s, and the second one
    /// is complete on any machine.
    #[track_caller]
    pub(crate) fn await_tools(&mut self, wanted: &[&str]) -> Value {
        let mut tools = Value::Null;
        eventually("all tools are listed", LIMIT, || {
            self.say(&json!({"op": "list_tools"}));
            let listed = self.hear();
            assert_eq!(listed["op"], "list_tools_res", "{listed}");
            tools = listed["tools"].clone();
            let has = |name: &&str| tools.as_array().into_iter().flatten().any(|tool| tool["name"] == **name);
            wanted.iter().all(has)
        });
        tools
    }
}

/// An instance with two fixture servers, one in the place of the EXAI tools.
fn with_exai_tools() -> Instance {
    let instance = Instance::new(&[fixture("ai", &[]), fixture("fix", &[])].concat());
    instance.ends(0, &["start"]);
    instance
}

#[test]
fn a_client_of_the_origin_gets_all_tools_beside_modern_clients() {
    let instance = with_exai_tools();
    let mut modern = instance.client("fix");
    let pid = modern.call("pid", &json!({}));
    let mut origin = Origin::join(&instance);
    let tools = origin.await_tools(&["echo", "fix__echo"]);
    let tools = tools.as_array().expect("tools");
    assert!(tools.iter().all(|tool| tool["inputSchema"]["type"] == "object"), "{tools:?}");
    assert!(!tools.iter().any(|tool| tool["name"] == "ai__echo"), "a tool has one name");
    for name in ["echo", "ai__echo", "echo_EXAI-WS", "ai__echo-EXAI_WS", "fix__echo", "fix__echo_EXAI_WS"] {
        let result = origin.call(name, &json!({"message": name}));
        assert_eq!(result["text"], name, "{result}");
        assert_eq!(result["outputs"], json!([{"type": "text", "text": name}]), "{result}");
        assert_eq!(result.get("error"), None, "{result}");
    }
    assert_eq!(origin.call("fix__pid", &json!({}))["text"], json!(pid), "they share a server");
    origin.say(&json!({"op": "health"}));
    let health = origin.hear();
    assert_eq!((&health["op"], &health["ok"]), (&json!("health_res"), &json!(true)), "{health}");
    assert_eq!(health["health"]["sessions"], 2, "{health}");
    assert_eq!(health["health"]["tool_count"], tools.len(), "{health}");
    let status = instance.status();
    let shown = status["clients"].as_array().expect("clients");
    let shown: Vec<&Value> = shown.iter().filter(|client| client["transport"] == "origin").collect();
    assert_eq!(shown.len(), 1, "{status}");
    assert_eq!(shown[0]["name"], "exai-shim");
}

#[test]
fn the_configuration_chooses_what_such_a_client_sees_as_for_any_other() {
    let servers = [fixture("ai", &[]), fixture("fix", &[])].concat();
    let instance = Instance::new(&format!("{servers}[clients.exai-shim]\nservers = [\"fix\"]\n"));
    instance.ends(0, &["start"]);
    let mut origin = Origin::join(&instance);
    assert_eq!(origin.call("fix__echo", &json!({"message": "chosen"}))["text"], "chosen");
    assert_eq!(origin.call("echo", &json!({}))["error"]["code"], "TOOL_NOT_FOUND");
    origin.say(&json!({"op": "list_tools"}));
    let listed = origin.hear()["tools"].as_array().expect("tools").len();
    origin.say(&json!({"op": "health"}));
    assert_eq!(origin.hear()["health"]["tool_count"], listed);
}

#[test]
fn calls_are_taken_reported_and_answered_each_in_its_own_time() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    origin.begin("slow", "fix__hang", &json!({"label": "slow"}));
    let first = origin.hear();
    assert_eq!((&first["op"], &first["request_id"]), (&json!("progress"), &json!("slow")), "{first}");
    assert!(first["note"].as_str().is_some_and(|note| note.starts_with("accepted, awaiting")), "{first}");
    assert!(first["t"].is_f64(), "{first}");
    let taken = origin.hear();
    let expected = json!({"op": "call_tool_ack", "request_id": "slow", "accepted": true, "timeout": 3600, "name": "fix__hang"});
    assert_eq!(taken, expected);
    // Nothing waits for the slow call: neither other calls, nor health, nor errors.
    origin.begin("steps", "fix__progress", &json!({"steps": 3, "ms": 1}));
    let (result, before) = origin.result();
    assert_eq!(result["request_id"], "steps");
    let ops: Vec<&Value> = before.iter().map(|frame| &frame["op"]).collect();
    assert_eq!(ops[..2], ["progress", "call_tool_ack"], "{before:?}");
    assert!(ops.len() > 2 && ops[2..].iter().all(|op| *op == "progress"), "{before:?}");
    origin.begin("slow", "fix__echo", &json!({}));
    let duplicate = origin.hear();
    assert_eq!(duplicate["error"]["code"], "DUPLICATE", "{duplicate}");
    assert_eq!(duplicate["error"]["original_request_id"], "slow", "{duplicate}");
    origin.say(&json!({"op": "call_tool", "name": "fix__echo", "arguments": {"message": "no id"}}));
    let (result, _) = origin.result();
    assert_eq!((&result["request_id"], &result["text"]), (&Value::Null, &json!("no id")), "{result}");
    // The same arguments once more are executed once more.
    let count = |origin: &mut Origin| origin.call("fix__calls", &json!({}))["text"].clone();
    assert_ne!(count(&mut origin), count(&mut origin));
    // While nothing is heard of a call the client is told that it goes on.
    let begun = Instant::now();
    let reported = origin.hear();
    assert_eq!((&reported["op"], &reported["request_id"]), (&json!("progress"), &json!("slow")));
    assert_eq!(reported.get("note"), None, "{reported}");
    assert!(begun.elapsed() < Duration::from_secs(9));
}

#[test]
fn what_fails_has_the_codes_of_the_origin() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    for (name, arguments, code, message) in [
        ("fix__fail", json!({"message": "no such file"}), "EXEC_ERROR", "no such file"),
        ("fix__error", json!({"code": -32000, "message": "broken"}), "EXEC_ERROR", "broken"),
        ("fix__error", json!({"code": -31004, "message": "late"}), "TIMEOUT", "late"),
        ("fix__error", json!({"code": -31003, "message": "full"}), "OVER_CAPACITY", "full"),
        (
            "nobody__echo",
            json!({}),
            "TOOL_NOT_FOUND",
            "Unknown tool: nobody__echo (list_tools names all tools)",
        ),
        (
            "nothing_EXAI-WS",
            json!({}),
            "TOOL_NOT_FOUND",
            "Unknown tool: nothing (list_tools names all tools)",
        ),
    ] {
        let result = origin.call(name, &arguments);
        assert_eq!(result["error"]["code"], code, "{result}");
        assert_eq!(result["error"]["message"], message, "{result}");
    }
    // A server that asks back is told at once that this client can be asked nothing.
    let asked = origin.call("fix__ask_sampling", &json!({"prompt": "hi"}));
    assert_eq!(asked["op"], "call_tool_res", "{asked}");
    // A server that dies costs its calls and nothing else.
    let died = origin.call("fix__die", &json!({"code": 3}));
    assert_eq!(died["error"]["code"], "EXEC_ERROR", "{died}");
    assert_eq!(origin.call("echo", &json!({"message": "ai lives"}))["text"], "ai lives");
}

#[test]
fn a_lost_connection_cancels_its_calls() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    origin.begin("r", "fix__hang", &json!({"label": "left behind"}));
    while origin.hear()["op"] != "call_tool_ack" {}
    let mut modern = instance.client("fix");
    assert_eq!(modern.call("cancelled", &json!({})), "[]");
    drop(origin);
    eventually("the server is told", LIMIT, || modern.call("cancelled", &json!({})).contains("left behind"));
}

#[test]
fn long_arguments_and_long_answers_pass() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    let long = "lang \u{FC}\n".repeat(300_000);
    let result = origin.call("fix__echo", &json!({"message": long}));
    assert_eq!(result["text"], json!(long));
    let result = origin.call("fix__big", &json!({"bytes": 20 * MIB}));
    assert_eq!(result["outputs"][0]["text"].as_str().map(str::len), Some(20 * MIB));
    assert_eq!(result.get("text"), None, "both do not fit into one message");
}

#[test]
fn nobody_comes_in_without_the_token() {
    let instance = with_exai_tools();
    let port = instance.port();
    let hello = |token: &str| json!({"op": "hello", "token": token}).to_string();
    let (short, other) = (instance.token()[1..].to_owned(), "0".repeat(64));
    let list = json!({"op": "list_tools", "token": instance.token()}).to_string();
    let lengthy = hello(&"x".repeat(17 * 1024));
    for (said, error, code) in [
        (hello(""), "unauthorized", 4003),
        (hello(&short), "unauthorized", 4003),
        (hello(&other), "unauthorized", 4003),
        (r#"{"op":"hello"}"#.to_owned(), "unauthorized", 4003),
        (list, "missing_hello", 4001),
        ("{".to_owned(), "invalid_hello", 4000),
        ("[]".to_owned(), "invalid_hello", 4000),
        (lengthy, "invalid_hello", 4000),
    ] {
        let mut origin = Origin::connect(port);
        origin.raw.send(FINAL | TEXT, said.as_bytes());
        assert_eq!(origin.hear(), json!({"op": "hello_ack", "ok": false, "error": error}), "{said}");
        assert_eq!(origin.raw.closed(), Some(code), "{said}");
    }
    // A long frame is refused by its header.
    let mut origin = Origin::connect(port);
    origin.raw.write(&announced(FINAL | BINARY, 32 * MIB));
    assert_eq!(origin.hear()["error"], "invalid_hello");
    // A token in the head is no hello.
    let bearer = format!("Bearer {}", instance.token());
    let mut origin = Origin { raw: Raw::open_at(port, "/", &format!("authorization: {bearer}\r\n")) };
    origin.say(&json!({"op": "health"}));
    assert_eq!(origin.hear()["error"], "missing_hello");
    // Web pages are not served, and what is no WebSocket needs the token as before.
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let from_page = [&upgrade[..], &[("origin", "http://evil.example")]].concat();
    assert_eq!(http(port, "GET", "/", &from_page, "").status, 403);
    let by_name = [&upgrade[..], &[("host", "evil.example")]].concat();
    assert_eq!(http(port, "GET", "/", &by_name, "").status, 403);
    assert_eq!(http(port, "GET", "/", &[], "").status, 401);
    assert_eq!(http(port, "GET", "/", &[("authorization", &bearer)], "").status, 404);
    assert_eq!(http(port, "POST", "/", &upgrade, "").status, 405);
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    for secret in [instance.token(), short, other] {
        assert!(!log.contains(&secret), "the log holds a token");
    }
}

#[test]
fn no_client_chooses_the_token() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    let before = instance.token();
    for (order, error) in [
        (json!({"op": "rotate_token"}), "missing_params"),
        (json!({"op": "rotate_token", "old": before, "new": ""}), "missing_params"),
        (json!({"op": "rotate_token", "old": "wrong", "new": "mine"}), "unauthorized"),
        (json!({"op": "rotate_token", "old": before, "new": "mine"}), "unsupported: run `exai token rotate`"),
    ] {
        origin.say(&order);
        assert_eq!(origin.hear(), json!({"op": "rotate_token_res", "ok": false, "error": error}));
    }
    assert_eq!(instance.token(), before);
    Origin::join(&instance);
}

#[test]
fn bad_ops_are_answered_and_the_connection_stays() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    let deep = format!("{{\"op\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    for (said, message) in [
        ("", "invalid_json"),
        ("{\"op\":", "invalid_json"),
        ("{}{}", "invalid_json"),
        ("[]", "invalid_message: it must be a JSON object"),
        ("{\"op\":7}", "invalid_message: op must be a string"),
        (&deep, "invalid_message: it is nested too deep"),
        ("{\"op\":\"call_tool\"}", "invalid_message: call_tool needs a name, which is a string"),
        ("{\"op\":\"cancel\"}", "Unknown op: cancel"),
        ("{\"op\":\"hello\",\"token\":\"\"}", "Unknown op: hello"),
    ] {
        origin.raw.send(FINAL | TEXT, said.as_bytes());
        assert_eq!(origin.hear(), json!({"op": "error", "message": message}), "{said}");
    }
    // JSON in a binary frame is as good as in a text frame, as it was for the origin.
    origin.raw.send(FINAL | BINARY, br#"{"op":"rotate_token"}"#);
    assert_eq!(origin.hear()["error"], "missing_params");
    origin.raw.send(FINAL | BINARY, b"\xFF");
    assert_eq!(origin.hear()["message"], "invalid_json");
    assert_eq!(origin.call("echo", &json!({"message": "still here"}))["text"], "still here");
    // Text that is no UTF-8 breaks the protocol of WebSocket.
    origin.raw.send(FINAL | TEXT, b"{\"op\":\"\xFF\"}");
    assert_eq!(origin.raw.closed(), Some(1007));
}

#[test]
fn a_client_that_floods_or_does_not_read_harms_only_itself() {
    let instance = with_exai_tools();
    let mut modern = instance.client("fix");
    // It reads, so every bad op is answered.
    let mut flood = Origin::join(&instance);
    for _ in 0..2000 {
        flood.raw.send(FINAL | TEXT, b"{}");
    }
    assert_eq!(modern.call("echo", &json!({"message": "served"})), "served");
    for _ in 0..2000 {
        assert_eq!(flood.hear()["op"], "error");
    }
    // It does not read what it has asked for.
    let mut deaf = Origin::join(&instance);
    for number in 0..60 {
        deaf.begin(&number.to_string(), "fix__big", &json!({"bytes": 2 * MIB}));
    }
    let log = || std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default();
    eventually("it is disconnected", LIMIT, || log().contains("too much waits for this client"));
    assert_eq!(modern.call("echo", &json!({"message": "served"})), "served");
}

#[test]
fn calls_without_end_are_refused_beyond_a_bound() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    for number in 0..1025 {
        origin.begin(&number.to_string(), "fix__hang", &json!({"label": "x"}));
    }
    let (refused, _) = origin.result();
    assert_eq!(refused["error"]["code"], "OVER_CAPACITY", "{refused}");
    assert_eq!(refused["error"]["retry_after"], 1, "{refused}");
    assert_eq!(refused["request_id"], "1024", "{refused}");
}

#[test]
fn a_restart_closes_the_connection_with_the_code_for_it() {
    let instance = with_exai_tools();
    let mut origin = Origin::join(&instance);
    instance.ends(0, &["restart"]);
    let Next::Frame(first, payload) = origin.raw.next() else { panic!("no close frame") };
    assert_eq!((first, &payload[..2]), (FINAL | CLOSE, &1012_u16.to_be_bytes()[..]));
    Origin::join(&instance);
}
