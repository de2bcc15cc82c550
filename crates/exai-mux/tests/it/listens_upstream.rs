//! What servers of the modern era are told of the listens of clients, and what becomes of that.

use std::time::Duration;

use exai_mux::{Endpoint, Event, InstanceId, Unsent};
use serde_json::{Value, json};

use crate::eras::{discover_result, error, number, request, result, unknown, with_modern_server};
use crate::support::{Bench, only};

pub(crate) fn listen(id: u64, filter: &Value) -> String {
    request(id, "subscriptions/listen", &format!("\"notifications\":{filter},"))
}

pub(crate) fn cancel(id: u64) -> String {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}).to_string()
}

/// All messages for this receiver, such as "client 1".
pub(crate) fn messages_to(lines: &[String], whom: &str) -> Vec<Value> {
    let start = format!("{whom} <- ");
    let texts = lines.iter().filter_map(|line| line.strip_prefix(&start));
    texts.map(|text| serde_json::from_str(text).expect("messages are JSON")).collect()
}

fn is_unsent(bench: &mut Bench, number: u64) -> Vec<String> {
    bench.does(Event::Unsent { instance: InstanceId(0), number, why: Unsent::Full })
}

#[test]
fn the_end_of_a_listen_for_many_resources_is_one_renewal() {
    let mut bench = with_modern_server();
    let uris: Vec<String> = (0..1000).map(|n| format!("r://{n}")).collect();
    bench.says(1, &listen(4, &json!({"resourceSubscriptions": uris})));
    bench.says(1, &listen(5, &json!({"resourceSubscriptions": ["r://7"]})));
    let told = messages_to(&bench.says(1, &cancel(4)), "server 0");
    let renewed: Vec<&Value> =
        told.iter().filter(|message| message["method"] == "subscriptions/listen").collect();
    assert_eq!(renewed.len(), 1);
    assert_eq!(renewed[0]["params"]["notifications"]["resourceSubscriptions"], json!(["r://7"]));
}

#[test]
fn a_listen_of_the_router_that_could_not_be_sent_is_opened_again() {
    let mut bench = with_modern_server();
    let uris = json!(["r://a"]);
    let sent = bench.says(1, &listen(4, &json!({"resourceSubscriptions": uris})));
    // The one before goes on, so that nothing is missed.
    assert_eq!(is_unsent(&mut bench, number(&sent, "server 0")), [""; 0]);
    let lines = bench.does(Event::Tick);
    assert_eq!(only(&lines, "server 0")["params"]["notifications"]["resourceSubscriptions"], uris);
    assert_eq!(bench.does(Event::Tick), [""; 0], "once");
}

#[test]
fn a_relayed_listen_that_could_not_be_sent_is_acknowledged_without_it() {
    let mut bench = with_modern_server();
    let sent = bench.says(1, &listen(4, &json!({"toolsListChanged": true, "taskIds": ["t"]})));
    let lines = is_unsent(&mut bench, number(&sent, "server 0"));
    assert_eq!(only(&lines, "client 1")["params"]["notifications"], json!({"toolsListChanged": true}));
}

#[test]
fn a_server_that_allows_one_listen_is_asked_again_without_the_one_before() {
    let mut bench = with_modern_server();
    let uris = json!(["r://a"]);
    let sent = bench.says(1, &listen(4, &json!({"resourceSubscriptions": uris})));
    let lines = bench.server_says(0, &error(number(&sent, "server 0"), -32600));
    let told = messages_to(&lines, "server 0");
    assert_eq!(told[0]["method"], "notifications/cancelled");
    assert_eq!(told[1]["params"]["notifications"]["resourceSubscriptions"], uris);
    // Now nothing else is open, so a refusal is final.
    let again = told[1]["id"].as_u64().expect("a number");
    assert_eq!(bench.server_says(0, &error(again, -32600)), [""; 0]);
    let lines = bench.says(1, &listen(5, &json!({"resourceSubscriptions": ["r://b"]})));
    assert_eq!(messages_to(&lines, "server 0"), [json!(null); 0]);
}

#[test]
fn a_listen_that_replaces_one_that_was_never_sent_is_opened_again_too() {
    let mut bench = with_modern_server();
    let older = bench.says(1, &listen(4, &json!({"resourceSubscriptions": ["r://a"]})));
    let newer = bench.says(1, &listen(5, &json!({"resourceSubscriptions": ["r://b"]})));
    is_unsent(&mut bench, number(&older, "server 0"));
    let newer = messages_to(&newer, "server 0").pop().expect("it is sent")["id"].as_u64().expect("a number");
    is_unsent(&mut bench, newer);
    let lines = bench.does(Event::Tick);
    let both = json!(["r://a", "r://b"]);
    assert_eq!(only(&lines, "server 0")["params"]["notifications"]["resourceSubscriptions"], both);
}

#[test]
fn a_client_whose_server_turns_to_the_legacy_era_is_told_that_its_listen_has_ended() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.open(1, Endpoint::One("a".into()));
    bench.says(1, &listen(4, &json!({"toolsListChanged": true})));
    let asked = bench.up(0);
    let lines = bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    let acknowledged = "notifications/subscriptions/acknowledged";
    assert_eq!(messages_to(&lines, "client 1")[0]["method"], acknowledged, "{lines:?}");
    bench.down(0, "exited");
    let lines = bench.lives(Duration::from_secs(2));
    assert!(lines.iter().any(|line| line.starts_with("start a#")), "{lines:?}");
    let asked = bench.up(1);
    let lines = bench.server_says(1, &error(number(&asked, "server 1"), -32601));
    let ended = only(&lines, "client 1");
    assert_eq!((&ended["id"], &ended["error"]["code"]), (&json!(4), &json!(-32022)), "{lines:?}");
}
