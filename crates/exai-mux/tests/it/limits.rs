//! Every collection in the router has a bound.

use exai_mux::policy::{Policy, Share};
use exai_mux::{ClientId, Endpoint, Event};

use crate::support::{Bench, initialize, only, policy};

fn code(lines: &[String], client: u64) -> serde_json::Value {
    only(lines, &format!("client {client}"))["error"]["code"].clone()
}

#[test]
fn a_server_has_at_most_64_instances_and_one_that_nobody_uses_makes_room() {
    let mut bench = Bench::new(vec![Policy { share: Share::Client, ..policy("a") }]);
    for client in 1..=64 {
        assert_eq!(bench.introduced(client, "a", "{}").len(), 1);
    }
    assert_eq!(code(&bench.introduced(65, "a", "{}"), 65), -31003);
    bench.ready(0);
    bench.does(Event::Closed { client: ClientId(1) });
    assert_eq!(bench.introduced(66, "a", "{}")[..2], ["stop 0", "start a#65 as 64"]);
    assert_eq!(code(&bench.introduced(67, "a", "{}"), 67), -31003);
}

#[test]
fn what_waits_for_a_start_is_bounded_and_introductions_are_no_exception() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    for _ in 1..1024 {
        assert_eq!(bench.says(1, &initialize("{}")), [""; 0]);
    }
    assert_eq!(code(&bench.says(1, &initialize("{}")), 1), -31003);
}

#[test]
fn who_cancels_or_leaves_makes_room_for_what_waits_for_a_start() {
    let payload = "x".repeat(30 << 20);
    let call = |id: u64| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"x":"{payload}"}}}}}}"#
        )
    };
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.introduced(2, "a", "{}");
    assert_eq!(bench.says(1, &call(1)), [""; 0]);
    assert_eq!(bench.says(2, &call(2)), [""; 0]);
    assert_eq!(code(&bench.says(1, &call(3)), 1), -31003, "90 MiB would wait");
    bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    assert_eq!(bench.says(1, &call(4)), [""; 0]);
    assert_eq!(code(&bench.says(1, &call(5)), 1), -31003);
    bench.does(Event::Closed { client: ClientId(2) });
    assert_eq!(bench.says(1, &call(6)), [""; 0]);
}

#[test]
fn a_client_has_at_most_1024_subscriptions_to_addresses_of_8_kibibytes() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    let mut subscribe = |uri: &str| {
        let lines = bench.says(
            1,
            &format!(
                r#"{{"jsonrpc":"2.0","id":4,"method":"resources/subscribe","params":{{"uri":"{uri}"}}}}"#
            ),
        );
        if !lines[0].starts_with("server 0") {
            return code(&lines, 1);
        }
        let number = &only(&lines, "server 0")["id"];
        code(&bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#)), 1)
    };
    assert_eq!(subscribe(&"x".repeat(8 * 1024 + 1)), -32602);
    for number in 0..1024 {
        assert!(subscribe(&format!("r://{number}")).is_null());
    }
    assert_eq!(subscribe("r://more"), -31003);
    assert!(subscribe("r://7").is_null(), "it is the client's already");
}

#[test]
fn a_list_keeps_ten_thousand_items_and_16_mebibytes() {
    for (number, bytes, kept) in [(10_001, 0, 10_000), (4, 5 << 20, 3)] {
        let text = "x".repeat(bytes);
        let items: Vec<String> =
            (0..number).map(|item| format!(r#"{{"name":"t{item}","description":"{text}"}}"#)).collect();
        let mut bench = Bench::new(vec![policy("a")]);
        bench.open(1, Endpoint::All);
        bench.says(1, &initialize("{}"));
        bench.says(1, r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#);
        bench.ready(0);
        let items = items.join(",");
        let page =
            format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"tools":[{items}],"nextCursor":"more"}}}}"#);
        let lines = bench.server_says(0, &page);
        assert_eq!(lines.len(), 1, "no further page is asked for");
        let tools = &only(&lines, "client 1")["result"]["tools"];
        assert_eq!(tools.as_array().map(Vec::len), Some(kept));
    }
}

#[test]
fn what_cannot_be_routed_before_servers_list_is_bounded() {
    let read = |id: u64, more: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"resources/read","params":{{"uri":"r://x","more":"{more}"}}}}"#
        )
    };
    let mut bench = Bench::new(vec![policy("a")]);
    for client in 1..=3 {
        bench.open(client, Endpoint::All);
        bench.says(client, &initialize("{}"));
    }
    assert_eq!(bench.says(1, &read(0, "")), ["start a#1 as 0"]);
    for id in 1..64 {
        assert_eq!(bench.says(1, &read(id, "")), [""; 0]);
    }
    assert_eq!(code(&bench.says(1, &read(64, "")), 1), -31003);
    let large = "x".repeat(30 << 20);
    assert_eq!(bench.says(2, &read(0, &large)), [""; 0]);
    assert_eq!(bench.says(3, &read(0, &large)), [""; 0]);
    assert_eq!(code(&bench.says(2, &read(1, &large)), 2), -31003, "90 MiB would wait");
    assert_eq!(bench.router.clients().iter().map(|client| client.in_flight).sum::<u32>(), 66);
}
