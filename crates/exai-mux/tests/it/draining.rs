//! A daemon that drains answers what it can from memory, and sends no request to a server.

use exai_mux::{Choice, Discovery, Endpoint, Era, Event};
use serde_json::json;

use crate::eras::{self, discover_result, modern};
use crate::support::{Bench, initialize, message, only, policy};

fn request(id: u64, method: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string()
}

/// A router whose server `a` has answered client 1 with its tools, and whose server `b` was never started.
fn draining() -> Bench {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, &request(7, "tools/list"));
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x"}]}}"#);
    bench
}

#[test]
fn what_is_known_is_answered_and_nothing_reaches_a_server() {
    let mut bench = draining();
    assert_eq!(only(&bench.says_late(1, &request(8, "ping")), "client 1")["result"], json!({}));
    let tools = bench.says_late(1, &request(9, "tools/list"));
    assert_eq!(only(&tools, "client 1")["result"], json!({"tools": [{"name": "x"}]}));
    assert_eq!(tools.len(), 1, "{tools:?}");
    for method in ["tools/call", "prompts/list", "resources/read", "logging/setLevel", "x/y"] {
        assert_eq!(bench.says_late(1, &request(10, method)), ["unserved 1 10"], "{method}");
    }
    assert!(!bench.router.is_busy());
    // A message that is no request still passes: it may end a request that is under way.
    bench.says(1, r#"{"jsonrpc":"2.0","id":11,"method":"tools/call","params":{"name":"x"}}"#);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":11}}"#;
    assert!(bench.says_late(1, cancel)[0].starts_with("server 0 <- "));
}

#[test]
fn a_session_begins_where_the_server_is_known_and_starts_none() {
    let mut bench = draining();
    bench.open(2, Endpoint::One("a".into()));
    bench.open(3, Endpoint::All);
    bench.open(4, Endpoint::One("b".into()));
    assert_eq!(bench.says_late(2, &request(1, "tools/list")), ["unserved 2 1"], "not introduced");
    let lines = bench.says_late(2, &initialize("{}"));
    assert_eq!(only(&lines, "client 2")["result"]["serverInfo"]["name"], "real");
    assert_eq!(
        only(&bench.says_late(3, &initialize("{}")), "client 3")["result"]["serverInfo"]["name"],
        "exai"
    );
    let tools = bench.says_late(3, &request(1, "tools/list"));
    assert_eq!(only(&tools, "client 3")["result"], json!({"tools": [{"name": "a__x"}]}));
    assert_eq!(bench.says_late(4, &initialize("{}")), ["unserved 4 0"], "nothing is known of this server");
    assert_eq!(
        bench.event(Event::FromClientWhileDraining {
            client: exai_mux::ClientId(9),
            message: message(&request(1, "ping"))
        }),
        []
    );
}

#[test]
fn a_modern_client_sees_no_more_than_before_and_must_say_who_it_is() {
    let mut bench = Bench::new(vec![modern("a")]);
    let discovery = Discovery {
        era: Era::Modern,
        introduction: discover_result().to_string().into(),
        lists: vec![("tools/list".into(), vec![r#"{"name":"secret"}"#.into()])],
    };
    bench.does(Event::DiscoveryKnown { server: "a".into(), revision: 1, discovery });
    let choice = Choice { servers: Some(std::collections::BTreeSet::default()), ..Choice::default() };
    bench.does(Event::Chosen { choices: vec![("m".into(), choice)] });
    bench.open(1, Endpoint::One("a".into()));
    bench.open(2, Endpoint::All);
    bench.open(3, Endpoint::One("a".into()));
    let list = eras::request(3, "tools/list", "");
    assert_eq!(bench.says_late(1, &list), ["unserved 1 3"]);
    assert_eq!(only(&bench.says_late(2, &list), "client 2")["result"]["tools"], json!([]));
    let of_another = list.replace("\"m\"", "\"n\"");
    let told = only(&bench.says_late(3, &of_another), "client 3");
    assert_eq!(told["result"]["tools"][0]["name"], "secret");
    let without = list.replace("clientCapabilities", "other");
    assert_eq!(only(&bench.says_late(3, &without), "client 3")["error"]["code"], -32602);
}
