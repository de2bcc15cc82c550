//! Listens at servers that are silent or do not run.

use std::time::Duration;

use exai_mux::policy::{Policy, Share};
use exai_mux::{ClientId, Endpoint, Event};
use serde_json::json;

use crate::eras::{discover_result, modern, number, request, result, with_modern_server};
use crate::listens_upstream::{listen, messages_to};
use crate::support::{Bench, only};

/// Lets the server end until it is held back for a while.
pub(crate) fn hold_back(bench: &mut Bench) {
    bench.down(0, "exited");
    bench.says(1, &request(90, "tools/call", r#""name":"t","#));
    bench.down(1, "exited");
}

#[test]
fn a_silent_server_holds_no_acknowledgement_up_for_more_than_two_seconds() {
    let mut bench = with_modern_server();
    let lines = bench.says(1, &listen(4, &json!({"toolsListChanged": true, "taskIds": ["t"]})));
    let number = only(&lines, "server 0")["id"].clone();
    assert_eq!(bench.lives(Duration::from_millis(1900)), [""; 0]);
    let told = only(&bench.lives(Duration::from_millis(200)), "client 1");
    assert_eq!(told["params"]["notifications"], json!({"toolsListChanged": true}));
    // What the server tells after all is passed on, but for a second acknowledgement.
    let meta = json!({"io.modelcontextprotocol/subscriptionId": number});
    let tell = |method: &str| {
        json!({"jsonrpc": "2.0", "method": method, "params": {"notifications": {"taskIds": ["t"]}, "_meta": meta}}).to_string()
    };
    assert_eq!(bench.server_says(0, &tell("notifications/subscriptions/acknowledged")), [""; 0]);
    let told = only(&bench.server_says(0, &tell("notifications/tasks")), "client 1");
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 4);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    assert_eq!(messages_to(&bench.server_says(0, changed), "client 1").len(), 1);
}

#[test]
fn a_server_that_is_held_back_holds_no_acknowledgement_up() {
    let mut bench = with_modern_server();
    hold_back(&mut bench);
    let lines = bench.says(1, &listen(4, &json!({"toolsListChanged": true, "taskIds": ["t"]})));
    let told = only(&lines, "client 1");
    assert_eq!(told["params"]["notifications"], json!({"toolsListChanged": true}));
    assert_eq!(lines.len(), 1, "nothing is started: {lines:?}");
}

#[test]
fn a_listen_at_a_server_that_is_held_back_lives_when_the_server_does() {
    let mut bench = with_modern_server();
    hold_back(&mut bench);
    bench.says(1, &listen(4, &json!({"resourceSubscriptions": ["r://a"]})));
    let lines = bench.lives(Duration::from_secs(1));
    assert_eq!(lines, ["start a#3 as 2"]);
    let asked = bench.up(2);
    let lines = bench.server_says(2, &result(number(&asked, "server 2"), &discover_result()));
    let heard = &only(&lines, "server 2")["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(heard, &json!(["r://a"]));
}

#[test]
fn a_listen_lives_when_there_is_room_for_an_instance() {
    let mut bench = Bench::new(vec![Policy { share: Share::Client, ..modern("a") }]);
    for client in 0..64 {
        bench.open(client, Endpoint::One("a".into()));
        let lines = bench.says(client, &request(1, "server/discover", ""));
        assert_eq!(lines, [format!("start a#{} as {client}", client + 1)]);
    }
    let asked = bench.up(0);
    bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    bench.open(64, Endpoint::One("a".into()));
    let lines = bench.says(64, &listen(4, &json!({"resourceSubscriptions": ["r://a"]})));
    assert_eq!(
        only(&lines, "client 64")["params"]["notifications"],
        json!({"resourceSubscriptions": ["r://a"]})
    );
    let now = bench.now;
    assert!(
        bench.router.next_tick(now).is_some_and(|next| next > now),
        "it is looked at again, and not without end"
    );
    assert_eq!(bench.lives(Duration::from_secs(1)), [""; 0]);
    bench.does(Event::Closed { client: ClientId(0) });
    let lines = bench.lives(Duration::from_secs(1));
    assert_eq!(lines, ["stop 0", "start a#65 as 64"]);
}

#[test]
fn a_listen_for_lists_alone_outlives_a_restart_of_its_server() {
    let mut bench = with_modern_server();
    bench.says(1, &listen(4, &json!({"toolsListChanged": true})));
    bench.does(Event::Restart { server: "a".into() });
    assert_eq!(bench.lives(Duration::from_secs(1)), ["start a#2 as 1"]);
    let asked = bench.up(1);
    bench.server_says(1, &result(number(&asked, "server 1"), &discover_result()));
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    assert_eq!(messages_to(&bench.server_says(1, changed), "client 1").len(), 1);
}
