//! The server that the conformance suite judges behaves as the tests of eras assume. The suite itself is run by the
//! tests of the product.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(switches: &[&str]) -> Self {
        let mut child = Command::new(exai_test::program("suite-server"))
            .args(switches)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    /// The next line; empty when the server has ended.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params}));
        self.next()
    }

    fn initialize(&mut self) -> Value {
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {}});
        self.ask("initialize", params)
    }

    fn ask_modern(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, modern(params))
    }

    fn tools(&mut self, params: Value) -> Vec<String> {
        let answer = self.ask("tools/list", params);
        let tools = answer["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn modern(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    });
    params
}

const DISCOVER: &str = "server/discover";

#[test]
fn each_era_refuses_the_other_with_the_code_that_the_specification_names() {
    let mut legacy = Server::start(&["--era", "legacy"]);
    assert_eq!(legacy.ask_modern(DISCOVER, json!({}))["error"]["code"], -32601);
    assert_eq!(legacy.initialize()["result"]["protocolVersion"], "2025-11-25");
    let mut modern = Server::start(&["--era", "modern"]);
    assert_eq!(modern.initialize()["error"]["data"]["supported"], json!(["2026-07-28"]));
    assert_eq!(modern.ask(DISCOVER, json!({}))["error"]["code"], -32602);
    assert_eq!(modern.ask_modern("ping", json!({}))["error"]["code"], -32601);
    assert_eq!(modern.ask_modern(DISCOVER, json!({}))["result"]["supportedVersions"], json!(["2026-07-28"]));
}

#[test]
fn a_dual_server_serves_each_message_by_its_era_and_a_pinned_one_only_the_first() {
    let mut dual = Server::start(&["--differ"]);
    assert!(dual.ask_modern(DISCOVER, json!({}))["result"].is_object());
    assert!(dual.initialize()["result"].is_object());
    let (new, old) = (dual.tools(modern(json!({}))), dual.tools(json!({})));
    assert!(new.contains(&"test_modern_only".to_owned()) && !new.contains(&"test_legacy_only".to_owned()));
    assert!(old.contains(&"test_legacy_only".to_owned()) && !old.contains(&"test_modern_only".to_owned()));

    let mut pinned = Server::start(&["--pin"]);
    assert!(pinned.ask_modern(DISCOVER, json!({}))["result"].is_object());
    assert_eq!(pinned.initialize()["error"]["code"], -32022);
    let mut pinned = Server::start(&["--pin"]);
    assert!(pinned.initialize()["result"].is_object());
    assert_eq!(pinned.ask_modern(DISCOVER, json!({}))["error"]["code"], -32601);
}

#[test]
fn the_probe_is_treated_as_the_switch_says() {
    let mut late = Server::start(&["--on-discover", "late:500"]);
    late.send(&json!({"jsonrpc": "2.0", "id": 1, "method": DISCOVER, "params": modern(json!({}))}));
    assert!(late.initialize()["result"]["serverInfo"].is_object());
    assert_eq!(late.next()["id"], 1);
    for (how, said) in [("silent", ""), ("exit", ""), ("garbage", "suite-server: what do you mean?")] {
        let mut server = Server::start(&["--on-discover", how]);
        server.send(&json!({"jsonrpc": "2.0", "id": 1, "method": DISCOVER, "params": modern(json!({}))}));
        if how == "silent" {
            assert!(server.initialize()["result"].is_object());
        } else {
            assert_eq!(server.line(), said);
        }
    }
}

#[test]
fn a_tool_asks_by_a_request_in_the_old_era_and_by_its_result_in_the_new_one() {
    let call = json!({"name": "test_input_required_result_multi_round", "arguments": {}});
    let accept = |content| json!({"action": "accept", "content": content});
    let mut server = Server::start(&[]);
    server.initialize();
    for (method, content) in [("tools/call", json!({"name": "A"})), ("", json!({"color": "red"}))] {
        if !method.is_empty() {
            server.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": call}));
        }
        let question = server.next();
        assert_eq!(question["method"], "elicitation/create");
        server.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": accept(content)}));
    }
    assert_eq!(server.next()["result"]["content"][0]["text"], "\"A\" likes \"red\"");

    let mut first = server.ask_modern("tools/call", call.clone())["result"].take();
    assert_eq!(first["inputRequests"]["step1"]["method"], "elicitation/create");
    let mut retry = call.clone();
    retry["requestState"] = first["requestState"].take();
    retry["inputResponses"] = json!({"step1": accept(json!({"name": "A"}))});
    let mut second = server.ask_modern("tools/call", retry.clone())["result"].take();
    retry["requestState"] = second["requestState"].take();
    retry["inputResponses"] = json!({"step2": accept(json!({"color": "red"}))});
    let done = server.ask_modern("tools/call", retry.clone());
    assert_eq!(done["result"]["content"][0]["text"], "\"A\" likes \"red\"");

    retry["name"] = json!("test_input_required_result_request_state");
    assert_eq!(server.ask_modern("tools/call", retry)["error"]["code"], -32602);
}

#[test]
fn a_listen_hears_of_what_it_asked_for_until_it_is_cancelled() {
    let mut server = Server::start(&["--era", "modern"]);
    let filter = json!({"resourceSubscriptions": ["test://watched-resource"]});
    let listen = |filter| modern(json!({"notifications": filter}));
    let ack = server.ask("subscriptions/listen", listen(filter));
    assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
    let update =
        json!({"name": "test_trigger_resource_update", "arguments": {"uri": "test://watched-resource"}});
    let updated = server.ask_modern("tools/call", update.clone());
    let subscription = &updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(
        (&updated["params"]["uri"], subscription),
        (&update["arguments"]["uri"], &json!("subscriptions/listen"))
    );
    assert_eq!(server.next()["id"], "tools/call");
    let cancelled = json!({"requestId": "subscriptions/listen"});
    server.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}));
    assert_eq!(server.ask_modern("tools/call", update)["id"], "tools/call");
}
