//! Streamable HTTP of the revision 2026-07-28: each POST stands for itself.

use std::io::BufReader;
use std::net::TcpStream;

use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::http::{Response, connect, http_over};
use crate::support::{Instance, LIMIT, add_modern_meta, fixture, text};

const VERSION: &str = "2026-07-28";

/// A client of the modern era.
struct Modern {
    port: u16,
    bearer: String,
    path: &'static str,
}

impl Modern {
    fn of(instance: &Instance, path: &'static str) -> Self {
        Modern { port: instance.port(), bearer: format!("Bearer {}", instance.token()), path }
    }

    /// Sends a body with these headers beside those of every client.
    fn send(&self, over: BufReader<TcpStream>, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![
            ("authorization", self.bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        all.extend(headers);
        http_over(over, "POST", self.path, &all, body)
    }

    /// Sends a request with the headers that belong to it.
    fn ask_over(&self, over: BufReader<TcpStream>, method: &str, params: Value) -> Response {
        let body = request(method, params);
        let named = ["name", "uri"].into_iter().find_map(|key| body["params"][key].as_str());
        let mut headers = vec![("MCP-Protocol-Version", VERSION), ("Mcp-Method", method)];
        headers.extend(named.map(|name| ("Mcp-Name", name)));
        self.send(over, &headers, &body.to_string())
    }

    fn ask(&self, method: &str, params: Value) -> Response {
        self.ask_over(connect(self.port), method, params)
    }

    fn call(&self, tool: &str, arguments: &Value) -> Response {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }
}

/// A request with the `_meta` that it needs.
fn request(method: &str, mut params: Value) -> Value {
    add_modern_meta(&mut params, "modern", json!({}));
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// An instance with a server of the modern era named `suite`.
fn instance() -> Instance {
    let command = json!(program("suite-server"));
    let instance =
        Instance::new(&format!("[servers.suite]\ncommand = {command}\nargs = [\"--era\", \"modern\"]\n"));
    instance.ends(0, &["start"]);
    instance
}

/// An instance with a server of the legacy era named `fix`, whose modern clients are bridged.
fn bridged() -> Instance {
    let instance = Instance::new(&format!("{}bridge = true\n", fixture("fix", &[])));
    instance.ends(0, &["start"]);
    instance
}

fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    tools.iter().filter_map(|tool| tool["name"].as_str()).collect()
}

fn clients(instance: &Instance) -> Vec<Value> {
    instance.status()["clients"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_request_needs_nothing_before_it_on_the_endpoint_of_one_server_and_on_that_of_all() {
    let instance = instance();
    for (path, prefix) in [("/mcp/suite", ""), ("/mcp?server=suite", "suite__")] {
        let client = Modern::of(&instance, path);
        let said = client.ask("server/discover", json!({})).answer();
        assert_eq!(said["result"]["supportedVersions"][0], VERSION, "{path}: {said}");
        let said = client.ask("tools/list", json!({})).answer();
        let tool = format!("{prefix}test_simple_text");
        assert!(names(&said).contains(&&*tool), "{path}: {said}");
        let response = client.call(&tool, &json!({}));
        assert_eq!((response.status, response.header("mcp-session-id")), (200, None));
        let said = response.answer();
        assert!(said["result"]["content"][0]["text"].is_string(), "{path}: {said}");
    }
    assert!(clients(&instance).is_empty(), "a client is nothing but its requests");
}

#[test]
fn progress_and_answer_come_as_one_event_stream() {
    let instance = instance();
    let client = Modern::of(&instance, "/mcp/suite");
    let params = json!({"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": "p"}});
    let mut response = client.ask("tools/call", params);
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(response.header("x-accel-buffering"), Some("no"));
    for progress in [0, 50, 100] {
        let told = response.event();
        assert_eq!(
            (&told["params"]["progressToken"], &told["params"]["progress"]),
            (&json!("p"), &json!(progress))
        );
    }
    assert_eq!(response.event()["id"], 1);
}

#[test]
fn a_listen_is_acknowledged_and_stays_open_until_the_client_or_the_daemon_ends() {
    let instance = instance();
    for path in ["/mcp/suite", "/mcp"] {
        let client = Modern::of(&instance, path);
        client.ask("tools/list", json!({})).answer();
        let mut listen =
            client.ask("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
        assert_eq!((listen.status, listen.header("content-type")), (200, Some("text/event-stream")));
        let told = listen.event();
        assert_eq!(told["method"], "notifications/subscriptions/acknowledged", "{path}");
        assert_eq!(told["params"]["notifications"], json!({"toolsListChanged": true}));
        let shown = clients(&instance);
        assert_eq!((shown.len(), &shown[0]["name"]), (1, &json!("modern")), "{shown:?}");
        assert_eq!((&shown[0]["transport"], &shown[0]["era"]), (&json!("http"), &json!(VERSION)));
        Modern::of(&instance, "/mcp/suite").call("test_trigger_tool_change", &json!({})).answer();
        let told = listen.event();
        assert_eq!(told["method"], "notifications/tools/list_changed", "{path}");
        assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        drop(listen);
        eventually("the client has gone", LIMIT, || clients(&instance).is_empty());
    }
    let client = Modern::of(&instance, "/mcp/suite");
    let mut listen = client.ask("subscriptions/listen", json!({"notifications": {}}));
    assert_eq!(listen.event()["method"], "notifications/subscriptions/acknowledged");
    instance.ends(0, &["stop"]);
    while listen.next_event().is_some() {}
}

#[test]
fn a_stream_that_the_client_closes_is_cancelled_at_the_server_at_once() {
    let instance = bridged();
    let client = Modern::of(&instance, "/mcp/fix");
    client.ask("tools/list", json!({})).answer();
    // The head of the response has come, so its body is under way.
    let response = client.call("hang", &json!({"label": "left"}));
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let cancelled =
        || client.call("cancelled", &json!({})).answer()["result"]["content"][0]["text"].to_string();
    assert!(!cancelled().contains("left"));
    drop(response);
    eventually("the call is cancelled", LIMIT, || cancelled().contains("left"));
}

#[test]
fn the_status_says_what_the_code_says() {
    let instance = instance();
    let client = Modern::of(&instance, "/mcp/suite");
    client.ask("tools/list", json!({})).answer();
    let of = |response: Response| (response.status, response.json()["error"]["code"].as_i64());
    assert_eq!(of(client.ask("no/such/method", json!({}))), (404, Some(-32601)));
    for removed in ["ping", "logging/setLevel", "resources/subscribe", "initialize"] {
        assert_eq!(of(client.ask(removed, json!({}))), (404, Some(-32601)), "{removed}");
    }
    // An answer that takes 200 ms comes as a stream, and the status of a stream is 200.
    let mut answers = (0..10).map(|_| client.call("test_missing_capability", &json!({})));
    let in_time = answers.find(|answer| !answer.is_stream()).expect("an answer within 200 ms");
    assert_eq!(of(in_time), (400, Some(-32021)));
    let unknown = client.ask("tools/call", json!({"name": "nothing", "arguments": {}}));
    assert_eq!(
        of(unknown),
        (200, Some(-32602)),
        "only a request that lacks what each must have is malformed"
    );
    let failed = client.call("test_error_handling", &json!({}));
    assert_eq!((failed.status, failed.json()["result"]["isError"].as_bool()), (200, Some(true)));

    let key = |name: &str| format!("io.modelcontextprotocol/{name}");
    let send = |version: &str, body: &Value| {
        let headers = [("MCP-Protocol-Version", version), ("Mcp-Method", "tools/list")];
        of(client.send(connect(client.port), &headers, &body.to_string()))
    };
    let mut lacking = request("tools/list", json!({}));
    lacking["params"]["_meta"].as_object_mut().expect("an object").remove(&key("clientCapabilities"));
    assert_eq!(send(VERSION, &lacking), (400, Some(-32602)));
    assert_eq!(
        send(VERSION, &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})),
        (400, Some(-32602))
    );
    let mut future = request("tools/list", json!({}));
    future["params"]["_meta"][key("protocolVersion")] = json!("2099-01-01");
    assert_eq!(send("2099-01-01", &future), (400, Some(-32022)));
    assert_eq!(send(VERSION, &json!([request("tools/list", json!({}))])), (400, Some(-32600)), "a batch");
    assert_eq!(send(VERSION, &json!({"jsonrpc": "2.0", "id": 1, "result": {}})), (400, Some(-32600)));
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(send(VERSION, &cancelled), (202, None));
    let garbage = client.send(connect(client.port), &[("MCP-Protocol-Version", VERSION)], "garbage");
    assert_eq!(of(garbage), (400, Some(-32700)));
}

#[test]
fn headers_that_contradict_the_body_are_refused() {
    let instance = instance();
    for (path, tool, encoded) in [
        ("/mcp/suite", "test_header_argument", "=?base64?dGVzdF9oZWFkZXJfYXJndW1lbnQ=?="),
        (
            "/mcp?server=suite",
            "suite__test_header_argument",
            "=?base64?c3VpdGVfX3Rlc3RfaGVhZGVyX2FyZ3VtZW50?=",
        ),
    ] {
        let client = Modern::of(&instance, path);
        client.ask("tools/list", json!({})).answer();
        let call = request("tools/call", json!({"name": tool, "arguments": {"region": "eu"}}));
        let version = ("mcp-protocol-version", VERSION);
        let method = ("mcp-method", "tools/call");
        let name = ("mcp-name", tool);
        let region = ("Mcp-Param-Region", "eu");
        let cases: [(&[(&str, &str)], u16); 8] = [
            (&[version, method, name, region], 200),
            (&[version, method, ("mcp-name", encoded), ("mcp-param-region", "=?base64?ZXU=?=")], 200),
            (&[version, method, name, ("Mcp-Param-Region", "us")], 400),
            (&[version, method, name], 400),
            (&[method, name, region], 400),
            (&[("mcp-protocol-version", "2025-11-25"), method, name, region], 400),
            (&[version, name, region], 400),
            (&[version, method, region], 400),
        ];
        for (headers, status) in cases {
            let response = client.send(connect(client.port), headers, &call.to_string());
            assert_eq!(response.status, status, "{path} {headers:?}");
            let said = response.json();
            if status == 200 {
                assert_eq!(said["result"]["content"][0]["text"], "eu", "{said}");
            } else {
                assert_eq!((&said["id"], &said["error"]["code"]), (&json!(1), &json!(-32020)), "{headers:?}");
            }
        }
    }
}

#[test]
fn one_connection_carries_a_legacy_session_and_modern_requests() {
    let instance = bridged();
    let client = Modern::of(&instance, "/mcp/fix");
    let opening = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}});
    let response = client.send(connect(client.port), &[], &opening.to_string());
    let session = response.header("mcp-session-id").expect("a session").to_owned();
    let (said, over) = response.json_and_connection();
    assert_eq!(said["result"]["protocolVersion"], "2025-06-18");
    let response = client.ask_over(over, "server/discover", json!({}));
    assert_eq!(response.header("mcp-session-id"), None);
    let (said, over) = response.json_and_connection();
    assert_eq!(said["result"]["resultType"], "complete", "{said}");
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-06-18")];
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let (said, over) = client.send(over, &headers, &ping.to_string()).json_and_connection();
    assert_eq!(said, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    // The session that a modern request names is not looked at, not even if there is none with this id.
    for named in [session.as_str(), "0123"] {
        let body = request("tools/call", json!({"name": "echo", "arguments": {"message": "hi"}}));
        let headers = [
            ("mcp-session-id", named),
            ("last-event-id", "7"),
            ("mcp-protocol-version", VERSION),
            ("mcp-method", "tools/call"),
            ("mcp-name", "echo"),
        ];
        let said = client.send(connect(client.port), &headers, &body.to_string()).answer();
        assert_eq!(said["result"]["content"][0]["text"], "hi", "{said}");
    }
    let (said, over) = client.ask_over(over, "tools/list", json!({})).json_and_connection();
    assert_eq!(said["result"]["resultType"], "complete", "{said}");
    let (said, _over) = client.send(over, &headers, &ping.to_string()).json_and_connection();
    assert_eq!(said["result"], json!({}));
    let shown = clients(&instance);
    assert_eq!(shown.len(), 1, "the session: {shown:?}");
    assert_eq!(shown[0]["name"], "old");
}

#[test]
fn what_a_draining_daemon_does_not_serve_is_for_the_next_one() {
    let instance = bridged();
    let client = Modern::of(&instance, "/mcp/fix");
    let listed = client.ask("tools/list", json!({})).answer();
    let go_on = instance.dir().join("go on");
    let under_way = client.call("until", &json!({"file": go_on, "message": "done"}));
    let mut stop = instance.command(&["stop"]).spawn().expect("exai runs");
    eventually("the daemon drains", LIMIT, || instance.status()["state"] == "draining");
    let refused = client.call("echo", &json!({"message": "late"}));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.header("connection"), Some("close"));
    let said = refused.json();
    assert_eq!((&said["id"], &said["error"]["code"]), (&json!(1), &json!(-31001)), "{said}");
    assert_eq!(names(&client.ask("tools/list", json!({})).answer()), names(&listed), "from memory");
    std::fs::write(&go_on, "").expect("a file");
    assert_eq!(under_way.answer()["result"]["content"][0]["text"], "done");
    assert!(stop.wait().expect("exai ends").success());
}

#[test]
fn the_log_tells_of_clients_that_last() {
    let instance = instance();
    Modern::of(&instance, "/mcp/suite").ask("tools/list", json!({})).answer();
    let log = std::fs::read(instance.home().join("log/daemon.log")).expect("a log");
    assert!(!text(&log).contains("client connected"), "{}", text(&log));
}
