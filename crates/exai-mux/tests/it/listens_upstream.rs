//! What servers of the modern era are told of the listens of clients, and what becomes of that.

use exai_mux::{Event, InstanceId, Unsent};
use serde_json::{Value, json};

use crate::eras::{error, number, request, with_modern_server};
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
    let lines = is_unsent(&mut bench, number(&sent, "server 0"));
    assert_eq!(only(&lines, "server 0")["method"], "notifications/cancelled", "the one before: {lines:?}");
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
