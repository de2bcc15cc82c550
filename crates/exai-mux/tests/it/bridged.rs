//! Clients of the legacy era at servers of the modern era.

use std::time::Duration;

use exai_mux::Event;
use serde_json::{Value, json};

use crate::eras::{discover_result, number, result, unknown};
use crate::support::{Bench, only};

/// A router with a server that speaks the modern era alone, as instance 0, and a legacy client 1 that uses it.
pub(crate) fn bridged(capabilities: &str) -> Bench {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", capabilities);
    let asked = bench.up(0);
    bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    let sent = bench.up(1);
    let refusal = json!({"jsonrpc": "2.0", "id": number(&sent, "server 1"), "error": {"code": -32022, "message": "no", "data": {"supported": ["2026-07-28"], "requested": "2025-11-25"}}});
    let lines = bench.server_says(1, &refusal.to_string());
    assert!(lines.contains(&"stop 1".to_owned()), "{lines:?}");
    let said = only(&lines, "client 1")["result"].clone();
    assert_eq!(
        (said["protocolVersion"].as_str(), said["serverInfo"]["name"].as_str()),
        (Some("2025-06-18"), Some("real"))
    );
    assert_eq!(
        (&said["instructions"], &said["resultType"], &said["ttlMs"]),
        (&json!("be modern"), &Value::Null, &Value::Null)
    );
    bench
}

#[test]
fn a_legacy_client_of_a_modern_server_finds_a_legacy_server() {
    let mut bench = bridged(r#"{"elicitation":{}}"#);
    let call = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"t","arguments":{"y":1.0},"_meta":{"progressToken":"p","v":0}}}"#;
    let sent = only(&bench.says(1, call), "server 0");
    let meta = &sent["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"], json!({"name": "c", "version": "1"}));
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"elicitation": {}}));
    assert_eq!(
        (&meta["progressToken"], &meta["v"], &meta["io.modelcontextprotocol/logLevel"]),
        (&sent["id"], &json!(0), &Value::Null)
    );
    let number = sent["id"].as_u64().expect("a number");
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"result":{{"resultType":"complete","content":[],"ttlMs":5,"z":1.50}}}}"#
    );
    assert_eq!(
        bench.server_says(0, &answer),
        [r#"client 1 <- {"jsonrpc":"2.0","id":"x","result":{"content":[],"z":1.50}}"#]
    );
    // Requests without parameters, and with none in the object.
    for params in ["", r#","params":{}"#] {
        let sent = only(
            &bench.says(1, &format!(r#"{{"jsonrpc":"2.0","id":3,"method":"tools/list"{params}}}"#)),
            "server 0",
        );
        assert_eq!(sent["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    }
    // The log level goes with each request from now on.
    let louder = r#"{"jsonrpc":"2.0","id":4,"method":"logging/setLevel","params":{"level":"info"}}"#;
    assert_eq!(bench.says(1, louder), [r#"client 1 <- {"jsonrpc":"2.0","id":4,"result":{}}"#]);
    let sent = only(&bench.says(1, call), "server 0");
    assert_eq!(sent["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "info");
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
    assert_eq!(bench.server_says(0, log), [format!("client 1 <- {log}")]);
}

#[test]
fn what_a_modern_server_needs_is_asked_of_a_legacy_client_as_its_session_knows_it() {
    let mut bench = bridged(r#"{"elicitation":{},"roots":{}}"#);
    let call = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","arguments":{}}}"#;
    let first = number(&bench.says(1, call), "server 0");
    let needed = format!(
        r#"{{"jsonrpc":"2.0","id":{first},"result":{{"resultType":"input_required","inputRequests":{{"a":{{"method":"elicitation/create","params":{{"message":"?"}}}},"b":{{"method":"roots/list"}}}},"requestState":"\u00e4\/1"}}}}"#
    );
    let asked: Vec<Value> = bench
        .server_says(0, &needed)
        .iter()
        .filter_map(|line| line.strip_prefix("client 1 <- "))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        (&asked[0]["method"], &asked[0]["params"]["message"], &asked[1]["method"]),
        (&json!("elicitation/create"), &json!("?"), &json!("roots/list"))
    );
    assert!(bench.router.is_busy());
    assert!(
        bench
            .says(1, &json!({"jsonrpc": "2.0", "id": asked[1]["id"], "result": {"roots": []}}).to_string())
            .is_empty()
    );
    let again = bench.says(
        1,
        &json!({"jsonrpc": "2.0", "id": asked[0]["id"], "result": {"action": "accept"}}).to_string(),
    );
    assert!(again[0].contains(r#""requestState":"\u00e4\/1""#), "byte for byte: {again:?}");
    let sent = only(&again, "server 0");
    assert_eq!(sent["params"]["inputResponses"], json!({"a": {"action": "accept"}, "b": {"roots": []}}));
    assert_eq!((&sent["params"]["name"], &sent["params"]["arguments"]), (&json!("t"), &json!({})));
    assert_ne!(sent["id"], first);
    let second = sent["id"].as_u64().expect("a number");
    // It needs more, and nothing is there of the first round.
    let more = json!({"resultType": "input_required", "inputRequests": {"c": {"method": "elicitation/create", "params": {"mode": "url", "url": "x:y"}}}});
    let asked = only(&bench.server_says(0, &result(second, &more)), "client 1");
    assert!(asked["params"]["elicitationId"].is_string(), "{asked}");
    // An answer that comes twice, or to nothing, changes nothing.
    let declined =
        json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -1, "message": "no"}}).to_string();
    let sent = only(&bench.says(1, &declined), "server 0");
    assert_eq!(sent["params"]["inputResponses"], json!({"c": {"action": "cancel"}}));
    assert_eq!(sent["params"]["requestState"], Value::Null, "the server wants none back");
    assert!(bench.says(1, &declined).is_empty());
    let done = bench.server_says(
        0,
        &result(sent["id"].as_u64().expect("a number"), &json!({"resultType": "complete", "content": []})),
    );
    assert_eq!(done, [r#"client 1 <- {"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#]);
    assert_eq!(bench.router.counts().asked, 0);
}

#[test]
fn input_ends_with_its_request_whatever_ends_that() {
    let needed = json!({"resultType": "input_required", "inputRequests": {"a": {"method": "elicitation/create", "params": {}}}});
    let call = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#;
    let asked = |bench: &mut Bench| {
        let sent = number(&bench.says(1, call), "server 0");
        only(&bench.server_says(0, &result(sent, &needed)), "client 1")["id"].as_u64().expect("a number")
    };
    let mut bench = bridged(r#"{"elicitation":{}}"#);
    let question = asked(&mut bench);
    let lines =
        bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    assert_eq!(only(&lines, "client 1")["params"]["requestId"], question);
    assert!(lines.iter().any(|line| line.starts_with("dropped 1")), "{lines:?}");
    // Time.
    asked(&mut bench);
    let lines = bench.lives(Duration::from_mins(11));
    assert!(lines.iter().any(|line| line.contains(r#""id":5,"error""#)), "{lines:?}");
    // A server that needs input without end.
    let mut sent = number(&bench.says(1, call), "server 0");
    let mut rounds = 0;
    let told = loop {
        let lines = bench.server_says(0, &result(sent, &json!({"resultType": "input_required"})));
        if lines.iter().any(|line| line.starts_with("client 1")) {
            break only(&lines, "client 1");
        }
        rounds += 1;
        sent = number(&lines, "server 0");
    };
    assert_eq!((rounds, told["error"]["code"].as_i64()), (10, Some(-32603)));
    // A client that cannot be asked.
    let mut bench = bridged("{}");
    let sent = number(&bench.says(1, call), "server 0");
    assert_eq!(only(&bench.server_says(0, &result(sent, &needed)), "client 1")["error"]["code"], -32603);
    // The client leaves.
    let mut bench = bridged(r#"{"elicitation":{}}"#);
    asked(&mut bench);
    bench.does(Event::Closed { client: exai_mux::ClientId(1) });
    assert_eq!(
        (bench.router.counts().asked, bench.router.counts().calls, bench.router.is_busy()),
        (0, 0, false)
    );
}
