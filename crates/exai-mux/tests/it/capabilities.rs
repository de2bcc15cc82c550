//! Capabilities that clients declare reach the servers, and capabilities that servers declare reach the clients, also
//! those that exai does not know.

use std::time::Duration;

use exai_mux::policy::{Policy, Share};
use exai_mux::{Endpoint, Event};
use serde_json::json;

use crate::support::{Bench, initialize, only, policy};

const UI: &str =
    r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#;
const CODEX: &str = r#"{"elicitation":{},"experimental":{"codex/auth-change":{}}}"#;

#[test]
fn extensions_and_experiments_are_declared_and_separate_clients_as_roots_do() {
    let mut bench = Bench::new(vec![policy("a"), Policy { share: Share::Client, ..policy("own") }]);
    for (instance, capabilities) in [UI, CODEX].into_iter().enumerate() {
        let (client, instance) = (instance as u64 * 2 + 1, instance as u64);
        assert_eq!(
            bench.introduced(client, "a", capabilities),
            [format!("start a#{} as {instance}", instance + 1)]
        );
        assert_eq!(
            only(&bench.up(instance), &format!("server {instance}"))["params"]["capabilities"].to_string(),
            capabilities
        );
        assert_eq!(bench.introduced(client + 1, "a", capabilities), [""; 0], "it declares the same");
    }
    assert_eq!(bench.introduced(5, "a", r#"{"experimental":{}}"#), ["start a#3 as 2"]);
    assert_eq!(bench.introduced(6, "a", "{}"), [""; 0], "that is the same");
    assert_eq!(bench.introduced(7, "own", UI), ["start own#1 as 3"]);
    assert_eq!(only(&bench.up(3), "server 3")["params"]["capabilities"].to_string(), UI);
    let why = bench.router.explain_sharing("a").expect("it is configured");
    assert!(why.iter().any(|said| said.contains("codex/auth-change")), "{why:?}");
}

#[test]
fn clients_with_other_experiments_share_once_it_was_measured_that_these_do_not_matter() {
    let mut bench = Bench::new(vec![policy("a")]);
    for (client, capabilities) in [(1, "{}"), (2, UI), (3, CODEX)] {
        let instance = client - 1;
        bench.introduced(client, "a", capabilities);
        bench.ready(instance);
        bench.says(client, r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#);
        bench.server_says(instance, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x"}]}}"#);
        bench.now += Duration::from_secs(5);
        bench.says(client, r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"x"}}"#);
        bench.server_says(instance, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    }
    let both = r#"{"elicitation":{},"experimental":{"codex/auth-change":{}},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#;
    for (client, capabilities) in [(4, UI), (5, CODEX), (6, "{}"), (7, both)] {
        let lines = bench.introduced(client, "a", capabilities);
        assert_eq!(lines.len(), 1, "its answer, and no start: {lines:?}");
    }
    // A capability that no client declared before leads to an instance of its own.
    let lines = bench.introduced(8, "a", r#"{"experimental":{"other":{}}}"#);
    assert!(lines.contains(&"start a#4 as 3".to_owned()), "{lines:?}");
    bench.ready(3);
    // A question whose method exai does not know is meant for one client, so only the client of this instance gets it.
    let asked = bench.server_says(3, r#"{"jsonrpc":"2.0","id":1,"method":"other/ask"}"#);
    assert_eq!(only(&asked, "client 8")["method"], "other/ask");
    let lines = bench.introduced(9, "a", CODEX);
    assert!(lines.contains(&"start a#5 as 4".to_owned()), "it can be meant: {lines:?}");
    assert!(
        bench
            .router
            .explain_sharing("a")
            .expect("it is configured")
            .iter()
            .any(|said| said.contains("c9 (c)'s own"))
    );
}

#[test]
fn what_servers_declare_is_united_on_the_aggregated_endpoint_and_the_first_counts() {
    let mut bench = Bench::new(vec![policy("a"), policy("b"), policy("c")]);
    let declares = [
        json!({"extensions": {"x/y": {"of": "a"}, "x/z": {}}, "experimental": {}}),
        json!({"extensions": {"x/y": {"of": "b"}, "io.modelcontextprotocol/ui": {"n": 1}}, "experimental": {"e": {}}}),
        json!({"extensions": 7, "experimental": null}),
    ];
    for (instance, capabilities) in declares.into_iter().enumerate() {
        let (name, instance) = (["a", "b", "c"][instance], instance as u64);
        bench.introduced(instance + 1, name, "{}");
        bench.up(instance);
        let result = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": {}});
        bench.server_says(instance, &json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string());
    }
    bench.open(9, Endpoint::All);
    let united = only(&bench.says(9, &initialize("{}")), "client 9")["result"]["capabilities"].clone();
    assert_eq!(
        united["extensions"],
        json!({"x/y": {"of": "a"}, "x/z": {}, "io.modelcontextprotocol/ui": {"n": 1}})
    );
    assert_eq!(united["experimental"], json!({"e": {}}));
    // The methods of an extension can be used on this endpoint if only one server declares the extension.
    let ask = |method: &str| json!({"jsonrpc": "2.0", "id": 5, "method": method}).to_string();
    for (method, server) in [("ui/open", "server 1"), ("z/get", "server 0"), ("e/now", "server 1")] {
        assert_eq!(only(&bench.says(9, &ask(method)), server)["method"], method);
    }
    for method in ["y/get", "other/thing"] {
        let refused = only(&bench.says(9, &ask(method)), "client 9");
        assert_eq!(refused["error"]["code"], -32601);
        assert!(refused["error"]["message"].to_string().contains("several servers"), "{refused}");
    }
    // A server that declares nothing adds nothing to the united capabilities.
    bench.does(Event::Configured { policies: vec![policy("c")] });
    let alone = only(&bench.says(9, &initialize("{}")), "client 9")["result"]["capabilities"].clone();
    assert!(alone.get("extensions").is_none() && alone.get("experimental").is_none(), "{alone}");
    assert_eq!(
        only(&bench.says(9, &ask("ui/open")), "client 9")["error"]["message"],
        "Method not found: ui/open"
    );
}

#[test]
fn on_the_aggregated_endpoint_each_is_listed_what_the_server_offers_to_those_who_declare_the_same() {
    let mut bench = Bench::new(vec![policy("a")]);
    let list = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;
    // Sends the answer of an instance to the only request in these lines.
    let answer = |bench: &mut Bench, lines: &[String], run: u64| {
        let request = only(lines, &format!("server {run}"));
        assert_eq!(request["method"], "tools/list");
        let tools = if run == 0 { json!([{"name": "x"}]) } else { json!([{"name": "x"}, {"name": "page"}]) };
        bench.server_says(
            run,
            &json!({"jsonrpc": "2.0", "id": request["id"], "result": {"tools": tools}}).to_string(),
        )
    };
    let offered = |lines: &[String], client: u64| {
        let answer = only(lines, &format!("client {client}"));
        answer["result"]["tools"].as_array().map(Vec::len).expect("a list")
    };
    for (client, capabilities) in [(1, "{}"), (2, UI), (3, r#"{"roots":{}}"#)] {
        bench.open(client, Endpoint::All);
        bench.says(client, &initialize(capabilities));
    }
    assert_eq!(bench.says(1, list), ["start a#1 as 0"]);
    let lines = bench.ready(0);
    assert_eq!(offered(&answer(&mut bench, &lines[1..], 0), 1), 1);
    // Client 3 gets the known list. Client 2 declares an extension on which the tools may depend, so it gets a list
    // from an instance of its own.
    assert_eq!(offered(&bench.says(3, list), 3), 1);
    assert_eq!(bench.says(2, list), ["start a#2 as 1"]);
    let lines = bench.ready(1);
    assert_eq!(offered(&answer(&mut bench, &lines[1..], 1), 2), 2);
    // The two lists differ, so from now on each client gets the list of its own instance.
    for (client, run, tools) in [(1, 0, 1), (2, 1, 2), (1, 0, 1)] {
        let lines = bench.says(client, list);
        assert_eq!(offered(&answer(&mut bench, &lines, run), client), tools, "client {client}");
    }
}
