//! The endpoint of all servers finds the server of a resource, and passes its changes to the right clients.

use exai_mux::Endpoint;
use serde_json::{Value, json};

use crate::support::{Bench, initialize, only, policy};

/// The lists of one server.
#[derive(Default)]
struct Lists {
    tools: Value,
    resources: Value,
    templates: Value,
}

/// A router with client 1 on the endpoint of all servers. The servers are called a, b and c; their instances are 0, 1
/// and 2 and have listed everything.
fn listed(servers: &[Lists]) -> Bench {
    let names = ["a", "b", "c"];
    let mut bench = Bench::new(names.iter().take(servers.len()).map(|name| policy(name)).collect());
    bench.open(1, Endpoint::All);
    bench.says(1, &initialize("{}"));
    let list = |method: &str| json!({"jsonrpc": "2.0", "id": "l", "method": method}).to_string();
    bench.says(1, &list("tools/list"));
    for instance in 0..servers.len() as u64 {
        bench.ready(instance);
    }
    bench.says(1, &list("resources/list"));
    bench.says(1, &list("resources/templates/list"));
    for (instance, server) in servers.iter().enumerate() {
        let results = [
            json!({"tools": server.tools}),
            json!({"resources": server.resources}),
            json!({"resourceTemplates": server.templates}),
        ];
        for (id, result) in results.into_iter().enumerate() {
            let answer = json!({"jsonrpc": "2.0", "id": id + 2, "result": result}).to_string();
            bench.server_says(instance as u64, &answer);
        }
    }
    bench
}

fn ask(method: &str, uri: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 6, "method": format!("resources/{method}"), "params": {"uri": uri}})
        .to_string()
}

fn not_found(id: &Value, code: i32) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "no"}}).to_string()
}

/// The server that these lines ask to read a resource, and the number of the request.
fn reader(lines: &[String]) -> Option<(u64, Value)> {
    (0..3).find_map(|server| {
        let asked = lines.iter().any(|line| line.starts_with(&format!("server {server} <- ")));
        let request = asked.then(|| only(lines, &format!("server {server}")))?;
        assert_eq!(request["method"], "resources/read");
        Some((server, request["id"].clone()))
    })
}

#[test]
fn what_a_server_hands_out_is_read_from_it_though_no_list_has_it() {
    let mut bench = listed(&[Lists::default(), Lists::default()]);
    let handed = json!({
        "content": [
            {"type": "resource_link", "uri": "made://1", "name": "x"},
            {"type": "resource", "resource": {"uri": "made://2", "text": "\"uri\":\"made://3\""}},
        ],
        "_meta": {"ui": {"resourceUri": "ui://page"}},
    });
    let call = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"b__t"}}"#;
    let id = only(&bench.says(1, call), "server 1")["id"].clone();
    bench.server_says(1, &json!({"jsonrpc": "2.0", "id": id, "result": handed}).to_string());
    for uri in ["made://1", "made://2", "ui://page"] {
        assert_eq!(reader(&bench.says(1, &ask("read", uri))).expect(uri).0, 1, "{uri}");
    }
    let refused = only(&bench.says(1, &ask("read", "made://3")), "client 1");
    assert_eq!(refused["error"]["code"], -32002, "words about a resource are none");
    // The other server hands out the same address later. The router asks the newest server first, and then the earlier
    // one.
    let call = call.replace("b__t", "a__t");
    let id = only(&bench.says(1, &call), "server 0")["id"].clone();
    bench.now += std::time::Duration::from_secs(1);
    bench.server_says(0, &json!({"jsonrpc": "2.0", "id": id, "result": handed}).to_string());
    let (server, id) = reader(&bench.says(1, &ask("read", "made://1"))).expect("it is known");
    assert_eq!(server, 0);
    assert_eq!(reader(&bench.server_says(0, &not_found(&id, -32002))).expect("the other has it").0, 1);
}

#[test]
fn the_page_of_a_tool_is_read_from_the_server_of_the_tool() {
    let tool = |uri: &str| json!([{"name": "t", "_meta": {"ui": {"resourceUri": uri}}}]);
    let mut bench = listed(&[
        Lists { tools: tool("ui://a/page"), ..Lists::default() },
        Lists { tools: tool("ui://b/page"), ..Lists::default() },
    ]);
    for (server, uri) in [(0, "ui://a/page"), (1, "ui://b/page")] {
        assert_eq!(reader(&bench.says(1, &ask("read", uri))).expect(uri).0, server);
    }
}

#[test]
fn what_nobody_has_listed_is_the_only_servers_that_has_resources() {
    let mut bench = listed(&[Lists::default()]);
    assert_eq!(reader(&bench.says(1, &ask("read", "made://1"))).expect("who else?").0, 0);
    // No other server is left, so the client gets the answer of this one.
    let error = bench.server_says(0, &not_found(&json!(5), -32002));
    assert_eq!(only(&error, "client 1")["error"]["message"], "no");
}

#[test]
fn the_longest_beginning_of_a_template_counts_and_then_the_next_one() {
    let templates = |all: &[&str]| {
        let all = all.iter().map(|template| json!({"uriTemplate": template, "name": "t"}));
        Lists { templates: all.collect(), ..Lists::default() }
    };
    let mut bench = listed(&[
        templates(&["t://{x}", "{scheme}://only/{x}"]),
        templates(&["t://b/{x}"]),
        templates(&["{+anything}"]),
    ]);
    for (uri, order) in
        [("t://b/9", &[1, 0, 2][..]), ("t://9", &[0, 2]), ("f://only/1", &[0, 2]), ("g://1", &[2])]
    {
        let mut lines = bench.says(1, &ask("read", uri));
        for (at, server) in order.iter().enumerate() {
            let (asked, id) = reader(&lines).unwrap_or_else(|| panic!("{uri}: {lines:?}"));
            assert_eq!(asked, *server, "{uri}, {at}");
            lines = bench.server_says(asked, &not_found(&id, [-32002, -32602, -32601][at]));
        }
        let error = only(&lines, "client 1");
        assert_eq!((&error["id"], &error["error"]["message"]), (&json!(6), &json!("no")), "{uri}");
        assert_eq!(bench.router.clients()[0].in_flight, 0);
    }
    // Any error but "not found" is an answer, as a result is.
    let (server, id) = reader(&bench.says(1, &ask("read", "t://b/9"))).expect("a reader");
    assert_eq!(
        only(&bench.server_says(server, &not_found(&id, -32603)), "client 1")["error"]["code"],
        -32603
    );
    // A client that has cancelled hears only from the first server, as it would without exai. No other server is asked.
    let (server, id) = reader(&bench.says(1, &ask("read", "t://b/9"))).expect("a reader");
    bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":6}}"#);
    assert_eq!(only(&bench.server_says(server, &not_found(&id, -32002)), "client 1")["id"], 6);
}

#[test]
fn a_change_of_a_part_is_heard_by_who_has_subscribed_to_the_whole() {
    let whole = json!([{"uri": "r://dir", "name": "x"}, {"uri": "r://dir2/", "name": "y"}]);
    let mut bench = listed(&[Lists::default(), Lists { resources: whole, ..Lists::default() }]);
    for uri in ["r://dir", "r://dir2/"] {
        let id = only(&bench.says(1, &ask("subscribe", uri)), "server 1")["id"].clone();
        bench.server_says(1, &json!({"jsonrpc": "2.0", "id": id, "result": {}}).to_string());
    }
    let updated = |uri: &str| {
        json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}})
            .to_string()
    };
    for uri in ["r://dir", "r://dir/a", "r://dir/a/b?c#d", "r://dir#x", "r://dir2/z", "r://dir2/"] {
        assert_eq!(bench.server_says(1, &updated(uri)), [format!("client 1 <- {}", updated(uri))]);
    }
    for uri in ["r://directory", "r://di", "r://dir2", "r://other/dir"] {
        assert_eq!(bench.server_says(1, &updated(uri)), [""; 0], "{uri}");
    }
    // The client can also read the part whose change it was told of.
    assert_eq!(reader(&bench.says(1, &ask("read", "r://dir/a"))).expect("known").0, 1);
}

#[test]
fn a_subscription_ends_where_it_began_whoever_has_the_resource_by_then() {
    let has = || Lists { resources: json!([{"uri": "r://x", "name": "x"}]), ..Lists::default() };
    let mut bench = listed(&[Lists::default(), has()]);
    let id = only(&bench.says(1, &ask("subscribe", "r://x")), "server 1")["id"].clone();
    bench.server_says(1, &json!({"jsonrpc": "2.0", "id": id, "result": {}}).to_string());
    // Now the first server has the resource too, and is its owner for new subscriptions.
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}"#;
    bench.server_says(0, changed);
    let list = json!({"resources": [{"uri": "r://x", "name": "x"}]});
    bench.server_says(0, &json!({"jsonrpc": "2.0", "id": 5, "result": list}).to_string());
    assert_eq!(
        only(&bench.says(1, &ask("unsubscribe", "r://x")), "server 1")["method"],
        "resources/unsubscribe"
    );
}
