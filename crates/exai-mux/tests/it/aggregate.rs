//! The endpoint that unites all servers.

use std::time::Duration;

use exai_mux::{Endpoint, Era, Event};

use crate::eras::request;
use crate::support::{Bench, initialize, only, policy};

fn all(bench: &mut Bench, client: u64) {
    bench.open(client, Endpoint::All);
    let result = only(&bench.says(client, &initialize("{}")), &format!("client {client}"));
    assert_eq!(result["result"]["serverInfo"]["name"], "exai");
    assert_eq!(result["result"]["protocolVersion"], "2025-06-18");
}

fn list(method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"l","method":"{method}"}}"#)
}

#[test]
fn initialize_starts_nothing_and_a_list_starts_what_is_not_known_and_names_it() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    all(&mut bench, 1);
    assert_eq!(bench.says(1, &list("tools/list")), ["start a#1 as 0", "start b#1 as 1"]);
    assert_eq!(only(&bench.ready(0)[1..], "server 0")["method"], "tools/list");
    bench.ready(1);
    assert_eq!(
        only(
            &bench.server_says(
                0,
                r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x","n":1.0}],"nextCursor":"c"}}"#
            ),
            "server 0"
        )["params"]["cursor"],
        "c"
    );
    assert_eq!(
        bench.server_says(0, r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"y"}]}}"#),
        [""; 0]
    );
    let answer = bench.server_says(1, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x"}]}}"#);
    let expected = r#"client 1 <- {"jsonrpc":"2.0","id":"l","result":{"tools":[{"name":"a__x","n":1.0},{"name":"a__y"},{"name":"b__x"}]}}"#;
    assert_eq!(answer, [expected]);
}

#[test]
fn a_call_goes_to_its_server_under_its_own_name_and_an_unknown_name_is_refused() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    all(&mut bench, 1);
    let call = |name: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"{name}","arguments":{{}}}}}}"#
        )
    };
    assert_eq!(bench.says(1, &call("b__do__it")), ["start b#1 as 0"]);
    let lines = bench.ready(0);
    assert_eq!(only(&lines[1..], "server 0")["params"]["name"], "do__it");
    let answer = bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"content":[]}}"#);
    assert_eq!(answer, [r#"client 1 <- {"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#]);
    for unknown in ["plain", "c__x"] {
        assert_eq!(only(&bench.says(1, &call(unknown)), "client 1")["error"]["code"], -32602);
    }
}

#[test]
fn a_list_waits_a_second_and_a_half_for_a_slow_server_then_is_partial_and_the_rest_is_announced() {
    let mut bench = Bench::new(vec![policy("fast"), policy("slow")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools/list"));
    bench.ready(0);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"x"}]}}"#);
    assert_eq!(bench.lives(Duration::from_secs(1)), [""; 0]);
    let answer = only(&bench.lives(Duration::from_millis(500)), "client 1");
    assert_eq!(answer["result"]["tools"].as_array().map(Vec::len), Some(1));
    bench.ready(1);
    let told = bench.server_says(1, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}"#);
    assert_eq!(told, [r#"client 1 <- {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#]);
}

#[test]
fn a_server_that_fails_does_not_spoil_the_list() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    all(&mut bench, 1);
    bench.says(1, &list("prompts/list"));
    bench.ready(0);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"prompts":[{"name":"p"}]}}"#);
    let answer = only(&bench.down(1, "is missing"), "client 1");
    assert_eq!(answer["result"]["prompts"][0]["name"], "a__p");
}

#[test]
fn a_resource_belongs_to_who_lists_it_or_has_a_template_and_the_first_wins() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    all(&mut bench, 1);
    let read = |uri: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":6,"method":"resources/read","params":{{"uri":"{uri}"}}}}"#)
    };
    // Neither server is known yet, so both are started and asked for resources and templates.
    assert_eq!(bench.says(1, &read("t://b/9")), ["start a#1 as 0", "start b#1 as 1"]);
    bench.ready(0);
    bench.ready(1);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"resources":[{"uri":"r://1"}]}}"#);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":3,"result":{"resourceTemplates":[]}}"#);
    bench.server_says(
        1,
        r#"{"jsonrpc":"2.0","id":2,"result":{"resources":[{"uri":"r://1"},{"uri":"r://2"}]}}"#,
    );
    let routed = bench.server_says(
        1,
        r#"{"jsonrpc":"2.0","id":3,"result":{"resourceTemplates":[{"uriTemplate":"t://b/{x}"}]}}"#,
    );
    assert_eq!(only(&routed, "server 1")["params"]["uri"], "t://b/9");
    assert_eq!(only(&bench.says(1, &read("r://1")), "server 0")["method"], "resources/read");
    assert_eq!(only(&bench.says(1, &read("r://2")), "server 1")["method"], "resources/read");
    assert_eq!(only(&bench.says(1, &read("r://3")), "client 1")["error"]["code"], -32002);
    // The modern era has another code for it.
    bench.open(2, Endpoint::All);
    let refused = bench.says(2, &request(6, "resources/read", r#""uri":"r://3","#));
    assert_eq!(only(&refused, "client 2")["error"]["code"], -32602);
}

#[test]
fn a_change_of_a_list_reaches_clients_that_never_used_the_server() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    all(&mut bench, 2);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let told = bench.server_says(0, changed);
    assert_eq!(told, [format!("client 1 <- {changed}"), format!("client 2 <- {changed}")]);
    bench.lives(Duration::from_secs(1));
    let told = bench.does(Event::Configured { policies: vec![policy("a"), policy("new")] });
    assert_eq!(told.len(), 3, "tools, prompts and resources: {told:?}");
}

#[test]
fn a_name_that_had_to_be_cut_finds_its_tool_again() {
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    let long = "tool_".repeat(15);
    let cut = exai_mux::names::aggregated("a", &long);
    let call = format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"{cut}"}}}}"#);
    assert_eq!(bench.says(1, &call), ["start a#1 as 0"], "it must be listed before it can be called");
    bench.ready(0);
    bench
        .server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"tools":[{{"name":"{long}"}}]}}}}"#));
    let routed = bench.server_says(0, r#"{"jsonrpc":"2.0","id":3,"result":{"prompts":[]}}"#);
    assert_eq!(only(&routed, "server 0")["params"]["name"], long);
}

#[test]
fn a_server_that_hangs_delays_a_known_list_by_half_a_second_and_is_heard_when_it_speaks_again() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    all(&mut bench, 1);
    bench.says(1, &list("prompts/list"));
    bench.ready(0);
    bench.ready(1);
    let prompts = |id: u64, name: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"prompts":[{{"name":"{name}"}}]}}}}"#)
    };
    bench.server_says(0, &prompts(2, "x"));
    bench.server_says(1, &prompts(2, "y"));
    let changed = [r#"client 1 <- {"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#];
    // Server b does not answer in time. Later it answers with the known list, or with another one. After its first
    // delay, no list waits for server b any more.
    for (id, late, told) in [(3, "y", &[][..]), (4, "z", &changed)] {
        let mut lines = bench.says(1, &list("prompts/list"));
        lines.extend(bench.server_says(0, &prompts(id, "x")));
        assert_eq!(bench.lives(Duration::from_millis(400)), [""; 0]);
        lines.extend(bench.lives(Duration::from_millis(200)));
        let answer = only(&lines, "client 1");
        let names = [&answer["result"]["prompts"][0]["name"], &answer["result"]["prompts"][1]["name"]];
        assert_eq!(names, ["a__x", "b__y"]);
        assert_eq!(bench.server_says(1, &prompts(id, late)), told);
    }
}

#[test]
fn a_list_whose_changes_are_announced_is_asked_for_once_and_again_only_after_a_change() {
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools/list"));
    bench.ready(0);
    let tools = |id: u64, name: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{{"name":"{name}"}}]}}}}"#)
    };
    bench.server_says(0, &tools(2, "x"));
    let known = only(&bench.says(1, &list("tools/list")), "client 1");
    assert_eq!(known["result"]["tools"][0]["name"], "a__x");
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    assert_eq!(only(&bench.server_says(0, changed), "server 0")["method"], "tools/list");
    assert_eq!(bench.says(1, &list("tools/list")), [""; 0], "the new list is waited for");
    let new = only(&bench.server_says(0, &tools(3, "z")), "client 1");
    assert_eq!(new["result"]["tools"][0]["name"], "a__z");
}

#[test]
fn who_was_answered_without_a_list_is_told_when_it_comes_after_all() {
    let error = |code: i32| format!(r#"{{"jsonrpc":"2.0","id":2,"error":{{"code":{code},"message":"no"}}}}"#);
    let changed = r#"client 1 <- {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let tools = |id: u64| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{{"name":"x"}}]}}}}"#);
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools/list"));
    let answer = only(&bench.down(0, "is missing"), "client 1");
    assert_eq!(answer["result"]["tools"].as_array().map(Vec::len), Some(0));
    // The failed server may not be started again yet, so a list is answered without it. The client is told when the
    // missing list arrives.
    assert_eq!(bench.says(1, &list("tools/list")).len(), 1);
    bench.passes(Duration::from_secs(1));
    // Another client needs the server, which starts it again.
    assert_eq!(bench.introduced(2, "a", "{}"), ["start a#2 as 1"]);
    let lines = bench.ready(1);
    assert_eq!(only(&lines[1..], "server 1")["method"], "tools/list");
    assert_eq!(bench.server_says(1, &error(-32603)), [""; 0], "still not");
    bench.says(1, &list("tools/list"));
    let answer = bench.server_says(1, &tools(3));
    assert_eq!(answer[0], changed);
    // A server that does not know the method has an empty list.
    bench.says(1, &list("prompts/list"));
    let answer = bench.server_says(1, &error(-32601).replace("\"id\":2", "\"id\":4"));
    assert_eq!(answer, [r#"client 1 <- {"jsonrpc":"2.0","id":"l","result":{"prompts":[]}}"#]);
}

/// The server announces a change of its tools some time after its last announcement, but its list stays the same.
fn changes(bench: &mut Bench, known: &str) -> Vec<String> {
    let lines = bench.lives(Duration::from_secs(1));
    if lines.iter().any(|line| line.starts_with("server")) {
        bench.server_says(0, &tools(asked(&lines), known));
    }
    bench.server_says(0, CHANGED)
}

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

fn tools(id: u64, name: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{{"name":"{name}"}}]}}}}"#)
}

/// The number of the `tools/list` request that these lines send to the server.
fn asked(lines: &[String]) -> u64 {
    let request = only(lines, "server 0");
    assert_eq!(request["method"], "tools/list");
    request["id"].as_u64().expect("a number")
}

#[test]
fn a_change_while_a_list_is_asked_for_leads_to_another_asking_and_who_waits_gets_that() {
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools/list"));
    // This server registers its tools only when it is ready, after the first request for the list.
    let first = asked(&bench.ready(0)[1..]);
    bench.server_says(0, CHANGED);
    let second = asked(&bench.server_says(0, &tools(first, "early")));
    let answer = only(&bench.server_says(0, &tools(second, "late")), "client 1");
    assert_eq!(answer["result"]["tools"][0]["name"], "a__late");
    // The same must hold for a list that a change makes the router request again, also when the first answer is an
    // error.
    let third = asked(&changes(&mut bench, "late"));
    bench.server_says(0, CHANGED);
    let error = json_error(third);
    let fourth = asked(&bench.server_says(0, &error));
    bench.says(1, &list("tools/list"));
    let answer = only(&bench.server_says(0, &tools(fourth, "later")), "client 1");
    assert_eq!(answer["result"]["tools"][0]["name"], "a__later");
    // An error does not undo a change: the next client request makes the router ask for the list again.
    let fifth = asked(&changes(&mut bench, "later"));
    assert_eq!(bench.server_says(0, &json_error(fifth)), [""; 0]);
    asked(&bench.says(1, &list("tools/list")));
}

fn json_error(id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":"not yet"}}}}"#)
}

#[test]
fn a_server_that_announces_a_change_whenever_it_is_asked_is_not_asked_without_end() {
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools/list"));
    let mut number = asked(&bench.ready(0)[1..]);
    for round in 0.. {
        assert!(round < 10, "it is asked again and again");
        bench.server_says(0, CHANGED);
        let lines = bench.server_says(0, &tools(number, "x"));
        if lines.iter().any(|line| line.starts_with("client 1")) {
            assert!(lines.iter().all(|line| !line.starts_with("server 0")), "{lines:?}");
            break;
        }
        number = asked(&lines);
    }
    asked(&bench.says(1, &list("tools/list")));
}

#[test]
fn a_list_that_passes_by_is_not_current_if_it_was_changed_meanwhile_or_is_of_another_run() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    all(&mut bench, 2);
    let first = asked(&bench.says(1, &list("tools/list")));
    bench.server_says(0, CHANGED);
    bench.server_says(0, &tools(first, "old"));
    // Here the answer to an earlier request of a client arrives after the list that the router itself has requested.
    let third = bench.says(1, &list("tools/list"));
    let late = asked(&third);
    let router = asked(&changes(&mut bench, "old"));
    assert_eq!(bench.says(2, &list("tools/list")), [""; 0]);
    let answer = only(&bench.server_says(0, &tools(router, "new")), "client 2");
    assert_eq!(answer["result"]["tools"][0]["name"], "a__new");
    bench.server_says(0, &tools(late, "old"));
    let answer = only(&bench.says(2, &list("tools/list")), "client 2");
    assert_eq!(answer["result"]["tools"][0]["name"], "a__new", "it is known, and current");
    // The list that an earlier daemon knew may come from another build of the server.
    let (revision, discovery) = bench.router.discovery("a", Era::Legacy).expect("known");
    let mut bench = Bench::new(vec![policy("a")]);
    bench.does(Event::DiscoveryKnown { server: "a".into(), revision, discovery });
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    all(&mut bench, 2);
    asked(&bench.says(2, &list("tools/list")));
}
