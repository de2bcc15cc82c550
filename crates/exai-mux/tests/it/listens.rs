//! `subscriptions/listen`: of clients, and of the router at servers of the modern era.

use std::time::Duration;

use exai_mux::policy::{Policy, Share};
use serde_json::{Value, json};

use crate::bridged::bridged;
use crate::eras::{discover_result, number, request, result, with_modern_server};
use crate::listens_upstream::{cancel, listen, messages_to};
use crate::support::{Bench, only, policy};

#[test]
fn a_listen_is_acknowledged_first_and_hears_what_it_is_about() {
    let mut bench = with_modern_server();
    let listen =
        |id: u64, filter: &str| request(id, "subscriptions/listen", &format!(r#""notifications":{filter},"#));
    let lines = bench.says(
        1,
        &listen(
            4,
            r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["r://a"]}"#,
        ),
    );
    let acknowledged = only(&lines, "client 1");
    assert!(lines[0].starts_with("client 1"), "{lines:?}");
    assert_eq!(
        acknowledged["params"]["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": ["r://a"]})
    );
    assert_eq!(acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 4);
    let upstream = only(&lines, "server 0");
    assert_eq!(upstream["params"]["notifications"]["resourceSubscriptions"], json!(["r://a"]));
    let id = &upstream["id"];
    let old = bench.server_says(0, &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": id}}}).to_string());
    assert_eq!(
        only(&old, "server 0")["method"],
        "notifications/cancelled",
        "the listen before is not needed any more"
    );
    bench.says(1, &listen(5, r#"{"toolsListChanged":true}"#));
    let tell = |method: &str, members: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{members}"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        )
    };
    let told = |lines: &[String]| -> Vec<Value> {
        lines.iter().filter_map(|line| line.strip_prefix("client 1 <- ")).map(|line| serde_json::from_str::<Value>(line).expect("JSON")["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone()).collect()
    };
    assert_eq!(told(&bench.server_says(0, &tell("tools/list_changed", ""))), [4, 5]);
    let lines = bench.server_says(0, &tell("resources/updated", r#""uri":"r://a","#));
    assert_eq!((told(&lines), &only(&lines, "client 1")["params"]["uri"]), (vec![json!(4)], &json!("r://a")));
    // A cancelled listen hears no more.
    let lines =
        bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}"#);
    assert!(lines.iter().any(|line| line.starts_with("dropped 1")), "{lines:?}");
    assert_eq!(told(&bench.server_says(0, &tell("tools/list_changed", ""))), [5]);
    assert!(told(&bench.server_says(0, &tell("resources/updated", r#""uri":"r://a","#))).is_empty());
}

#[test]
fn a_session_hears_of_a_modern_server_through_the_routers_listen() {
    let mut bench = bridged("{}");
    let subscribe = r#"{"jsonrpc":"2.0","id":4,"method":"resources/subscribe","params":{"uri":"r://a"}}"#;
    let lines = bench.says(1, subscribe);
    assert_eq!(only(&lines, "client 1")["result"], json!({}));
    let id = only(&lines, "server 0")["id"].clone();
    assert_eq!(
        only(&lines, "server 0")["params"]["notifications"]["resourceSubscriptions"],
        json!(["r://a"])
    );
    let tell = |method: &str, members: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{members}"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        )
    };
    assert_eq!(
        bench.server_says(0, &tell("tools/list_changed", "")),
        [r#"client 1 <- {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#]
    );
    assert_eq!(
        bench.server_says(0, &tell("resources/updated", r#""uri":"r://a","#)),
        [
            r#"client 1 <- {"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"r://a"}}"#
        ]
    );
    // The server dies: the client is served again, and told that it may have missed something.
    bench.down(0, "exited");
    let lines = bench.lives(Duration::from_secs(2));
    assert!(lines.iter().any(|line| line.starts_with("start a#3")), "{lines:?}");
    let asked = bench.up(2);
    let lines = bench.server_says(2, &result(number(&asked, "server 2"), &discover_result()));
    assert!(lines.iter().any(|line| line.contains("resources/updated")), "{lines:?}");
}

#[test]
fn what_exai_does_not_know_of_a_filter_is_asked_of_the_server_for_that_client_alone() {
    let mut bench = with_modern_server();
    bench.open(2, exai_mux::Endpoint::One("a".into()));
    bench.says(2, &request(1, "subscriptions/listen", r#""notifications":{"toolsListChanged":true},"#));
    let filter = r#""notifications":{"toolsListChanged":true,"taskIds":["t1"]},"#;
    let lines = bench.says(1, &request(4, "subscriptions/listen", filter));
    let relayed = only(&lines, "server 0");
    assert_eq!(relayed["params"]["notifications"], json!({"taskIds": ["t1"]}));
    assert_eq!(relayed["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"], "m");
    assert!(!lines.iter().any(|line| line.starts_with("client")), "it is not known yet what is honoured");
    let tell = |method: &str, members: &str| {
        let id = &relayed["id"];
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{members}"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        )
    };
    let acknowledged =
        bench.server_says(0, &tell("subscriptions/acknowledged", r#""notifications":{"taskIds":["t1"]},"#));
    let acknowledged = only(&acknowledged, "client 1");
    let honoured = json!({"toolsListChanged": true, "taskIds": ["t1"]});
    assert_eq!(acknowledged["params"]["notifications"], honoured);
    let told = bench.server_says(0, &tell("tasks", r#""taskId":"t1","#));
    let expected =
        tell("tasks", r#""taskId":"t1","#).replace(&format!("Id\":{}}}", relayed["id"]), "Id\":4}");
    assert_eq!(told, [format!("client 1 <- {expected}")]);
    let lines =
        bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}"#);
    assert_eq!(only(&lines, "server 0")["params"]["requestId"], relayed["id"]);
    assert_eq!(bench.server_says(0, &tell("tasks", r#""taskId":"t1","#)), [""; 0]);
    // A server that refuses costs the client nothing that exai itself tells.
    let lines = bench.says(1, &request(5, "subscriptions/listen", filter));
    let refused = number(&lines, "server 0");
    let lines = bench.server_says(
        0,
        &json!({"jsonrpc": "2.0", "id": refused, "error": {"code": -32602, "message": "no"}}).to_string(),
    );
    let acknowledged = only(&lines, "client 1");
    assert_eq!(acknowledged["params"]["notifications"], json!({"toolsListChanged": true}));
}

#[test]
fn a_server_that_is_held_back_is_started_for_a_listen_as_soon_as_that_may_be() {
    let mut bench = with_modern_server();
    bench.down(0, "exited");
    assert_eq!(bench.says(1, &request(3, "tools/list", "")), ["start a#2 as 1"]);
    bench.down(1, "exited");
    let filter = r#""notifications":{"resourceSubscriptions":["r://a"]},"#;
    let lines = bench.says(1, &request(4, "subscriptions/listen", filter));
    assert_eq!(lines.len(), 1, "it is acknowledged, and nothing is started: {lines:?}");
    let lines = bench.lives(Duration::from_secs(2));
    assert!(lines.contains(&"start a#3 as 2".to_owned()), "{lines:?}");
    let asked = bench.up(2);
    let lines = bench.server_says(2, &result(number(&asked, "server 2"), &discover_result()));
    let told = only(&lines, "client 1");
    assert_eq!(told["method"], "notifications/resources/updated", "it may have missed something");
}

#[test]
fn neither_a_listen_nor_a_session_silences_the_other() {
    let updated = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"r://a"}}"#;
    let of_session = |method: &str| {
        json!({"jsonrpc": "2.0", "id": 4, "method": method, "params": {"uri": "r://a"}}).to_string()
    };
    let listen = listen(8, &json!({"resourceSubscriptions": ["r://a"]}));
    let is_modern = |message: &Value| !message["params"]["_meta"].is_null();
    let legacy = || {
        let mut bench = Bench::new(vec![Policy { bridge: true, share: Share::Shared, ..policy("a") }]);
        bench.introduced(1, "a", "{}");
        bench.ready(0);
        bench
    };
    let benches: [&dyn Fn() -> Bench; 2] = [&|| bridged("{}"), &legacy];
    for make in benches {
        let begin = || {
            let mut bench = make();
            for line in bench.says(1, &of_session("resources/subscribe")) {
                // A legacy server is asked.
                if let Some(asked) =
                    line.strip_prefix("server 0 <- ").filter(|_| line.contains("resources/sub"))
                {
                    let asked: Value = serde_json::from_str(asked).expect("JSON");
                    let number = asked["id"].as_u64().expect("a number");
                    bench.server_says(0, &result(number, &json!({})));
                }
            }
            bench.says(1, &listen);
            assert_eq!(messages_to(&bench.server_says(0, updated), "client 1").len(), 2);
            bench
        };
        let mut bench = begin();
        let lines = bench.says(1, &cancel(8));
        assert_eq!(messages_to(&lines, "server 0"), [json!(null); 0]);
        assert!(!is_modern(&only(&bench.server_says(0, updated), "client 1")));
        let mut bench = begin();
        let lines = bench.says(1, &of_session("resources/unsubscribe"));
        assert_eq!(messages_to(&lines, "server 0"), [json!(null); 0]);
        assert!(is_modern(&only(&bench.server_says(0, updated), "client 1")));
        // Whoever is the last to go is told to the server.
        let told = messages_to(&bench.says(1, &cancel(8)), "server 0");
        let told: Vec<&Value> = told
            .iter()
            .map(|told| &told["method"])
            .filter(|method| *method != "notifications/cancelled")
            .collect();
        assert!(told == ["subscriptions/listen"] || told == ["resources/unsubscribe"], "{told:?}");
        assert_eq!(bench.server_says(0, updated), [""; 0]);
    }
}
