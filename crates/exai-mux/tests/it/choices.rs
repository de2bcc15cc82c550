//! What the configuration, or its own shim, lets a client see and use.

use std::time::Duration;

use exai_mux::policy::ToolFilter;
use exai_mux::{Choice, ClientName, Endpoint, Event};
use serde_json::{Value, json};

use crate::support::{Bench, initialize, only, policy};

const TOOLS: &str = r#"{"tools":[{"name":"x","annotations":{"readOnlyHint":true}},{"name":"y"}]}"#;

fn servers(names: &[&str]) -> Choice {
    Choice { servers: Some(names.iter().map(|name| (*name).into()).collect()), ..Choice::default() }
}

fn denied(patterns: &[&str]) -> Choice {
    let deny = patterns.iter().map(ToString::to_string).collect();
    Choice { tools: ToolFilter { deny, ..ToolFilter::default() }, ..Choice::default() }
}

/// The choice for the label "few".
fn chosen(choice: Choice) -> Event {
    Event::Chosen { choices: vec![("few".into(), choice)] }
}

fn several(names: &[&str]) -> Endpoint {
    Endpoint::Several(std::sync::Arc::new(names.iter().map(|name| (*name).into()).collect()))
}

fn request(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

fn call(id: u64, name: &str) -> String {
    request(id, "tools/call", &json!({"name": name}))
}

/// Opens a client with the label "few", which sends `initialize`; returns the answer.
fn few(bench: &mut Bench, client: u64, endpoint: Endpoint) -> Value {
    bench.open_as(client, endpoint, ClientName::Label("Few".into()));
    only(&bench.says(client, &initialize("{}")), &format!("client {client}"))
}

/// Servers `a` and `b`, ready as instances 0 and 1. Client 9, which sees everything, has listed what they have.
fn listed_servers() -> Bench {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    bench.open(9, Endpoint::All);
    bench.says(9, &initialize("{}"));
    for (kind, items) in [
        ("tools", TOOLS),
        ("prompts", r#"{"prompts":[{"name":"p"}]}"#),
        ("resources", r#"{"resources":[{"uri":"r:1"}]}"#),
    ] {
        bench.says(9, &request(1, &format!("{kind}/list"), &json!({})));
        for instance in [0, 1] {
            if kind == "tools" {
                bench.ready(instance);
            }
            let id = match kind {
                "tools" => 2,
                "prompts" => 3,
                _ => 4,
            };
            let own = items.replace("r:", if instance == 0 { "a:" } else { "b:" });
            bench.server_says(instance, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{own}}}"#));
        }
    }
    bench
}

/// The names, or the addresses, that a client is told in this list of servers that run. It is asked for prompts and
/// resources as well, which servers in these tests do not announce.
fn list(bench: &mut Bench, client: u64, kind: &str) -> Vec<String> {
    let mut lines = bench.says(client, &request(5, &format!("{kind}/list"), &json!({})));
    lines.extend(bench.lives(Duration::from_secs(3)));
    let lines: Vec<String> = lines.into_iter().filter(|line| line.contains(r#""id":5"#)).collect();
    let answer = only(&lines, &format!("client {client}"));
    let items = answer["result"][kind].as_array().unwrap_or_else(|| panic!("a list: {answer}"));
    let text = |item: &Value| item["name"].as_str().or(item["uri"].as_str()).map(str::to_owned);
    items.iter().filter_map(text).collect()
}

/// Who is told that which list has changed.
fn told(lines: &[String]) -> Vec<String> {
    let said = |line: &String| {
        let (whom, text) = line.strip_prefix("client ")?.split_once(" <- ")?;
        let method: Value = serde_json::from_str(text).ok()?;
        let kind =
            method["method"].as_str()?.strip_prefix("notifications/")?.strip_suffix("/list_changed")?;
        Some(format!("{whom}: {kind}"))
    };
    lines.iter().filter_map(said).collect()
}

#[test]
fn a_client_sees_the_chosen_servers_alone_in_every_list_and_in_the_instructions() {
    let mut bench = listed_servers();
    bench.does(chosen(servers(&["b"])));
    let opened = few(&mut bench, 1, Endpoint::All);
    assert_eq!(opened["result"]["instructions"], "# b\nbe kind");
    assert_eq!(list(&mut bench, 1, "tools"), ["b__x", "b__y"]);
    assert_eq!(list(&mut bench, 1, "prompts"), ["b__p"]);
    assert_eq!(list(&mut bench, 1, "resources"), ["b:1"]);
    assert_eq!(list(&mut bench, 9, "tools"), ["a__x", "a__y", "b__x", "b__y"], "nobody else is concerned");
}

#[test]
fn what_a_client_may_not_see_is_answered_as_what_does_not_exist() {
    let mut bench = listed_servers();
    bench.does(chosen(Choice { tools: denied(&["b__y"]).tools, ..servers(&["b"]) }));
    few(&mut bench, 1, Endpoint::All);
    let mut answers = |name: &str, id: u64, method: &str, params: Value| {
        let answer = only(&bench.says(1, &request(id, method, &params)), "client 1");
        answer["error"].to_string().replace(name, "NAME")
    };
    let mut same = |hidden: &str, unknown: &str, method: &str, params: fn(&str) -> Value| {
        let one = answers(hidden, 7, method, params(hidden));
        assert_eq!(one, answers(unknown, 8, method, params(unknown)), "{method} of {hidden}");
        assert!(one.contains("-32"), "{one}");
    };
    let by_name = |name: &str| json!({"name": name});
    for hidden in ["a__x", "b__y"] {
        same(hidden, "c__z", "tools/call", by_name);
    }
    same("a__p", "c__p", "prompts/get", by_name);
    let reference = |name: &str| json!({"ref": {"type": "ref/prompt", "name": name}});
    same("a__p", "c__p", "completion/complete", reference);
    // An address that only a hidden server lists is looked for at the others.
    let mut lines = Vec::new();
    for method in ["resources/read", "resources/subscribe"] {
        lines.extend(bench.says(1, &request(9, method, &json!({"uri": "a:1"}))));
    }
    lines.extend(bench.lives(Duration::from_secs(20)));
    assert_eq!(lines.iter().filter(|line| line.contains(r#""uri":"a:1""#)).count(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("server 1")), "{lines:?}");
    assert!(bench.says(9, &call(3, "b__y")).iter().any(|line| line.starts_with("server 1")));
}

#[test]
fn a_server_that_the_client_may_not_see_is_not_started_for_it() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    bench.does(chosen(servers(&["a"])));
    few(&mut bench, 1, Endpoint::All);
    assert_eq!(bench.says(1, &request(2, "tools/list", &json!({}))), ["start a#1 as 0"]);
    let read = bench.says(1, &request(3, "resources/read", &json!({"uri": "b:1"})));
    assert!(!read.iter().any(|line| line.starts_with("start")), "{read:?}");
    assert_eq!(only(&bench.says(1, &call(4, "b__x")), "client 1")["error"]["code"], -32602);
}

#[test]
fn a_client_of_one_server_has_the_same_choice_under_the_names_of_the_server() {
    let mut bench = listed_servers();
    bench.does(chosen(Choice { tools: denied(&["a__x", "*__nothing"]).tools, ..servers(&["a"]) }));
    few(&mut bench, 1, Endpoint::One("a".into()));
    let lines = bench.says(1, &request(5, "tools/list", &json!({})));
    let id = only(&lines, "server 0")["id"].clone();
    let lines = bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{TOOLS}}}"#));
    assert_eq!(only(&lines, "client 1")["result"], json!({"tools": [{"name": "y"}]}));
    let refused = only(&bench.says(1, &call(6, "x")), "client 1");
    assert_eq!(refused["error"], json!({"code": -32602, "message": "Unknown tool: x"}));
    assert_eq!(only(&bench.says(1, &call(7, "y")), "server 0")["params"]["name"], "y");
    // A server that is not chosen is as good as none, and is not named.
    let refused = few(&mut bench, 2, Endpoint::One("b".into()));
    assert_eq!(refused["error"]["code"], -31006);
    assert_eq!(refused["error"]["message"], r#"no server is called "b"; configured are: a"#);
    bench.open(3, Endpoint::One("c".into()));
    let unknown = only(&bench.says(3, &initialize("{}")), "client 3");
    assert_eq!(unknown["error"]["message"], r#"no server is called "c"; configured are: a, b"#);
}

#[test]
fn a_client_without_a_label_is_known_by_the_name_of_its_program_and_a_command_by_none() {
    let mut bench = listed_servers();
    bench.does(Event::Chosen { choices: vec![("C".into(), servers(&["b"]))] });
    for (client, name, sees) in [
        (1, ClientName::Program, 2),
        (2, ClientName::Nameless, 4),
        (3, ClientName::Label("other".into()), 4),
        (4, ClientName::Label("c".into()), 2),
    ] {
        bench.open_as(client, Endpoint::All, name);
        bench.says(client, &initialize("{}"));
        assert_eq!(list(&mut bench, client, "tools").len(), sees, "client {client}");
    }
    // Under another name the client is another one.
    bench.says(1, &initialize("{}").replace(r#""name":"c""#, r#""name":"d""#));
    assert_eq!(list(&mut bench, 1, "tools").len(), 4);
}

#[test]
fn only_the_clients_concerned_are_told_and_only_of_the_lists_that_changed() {
    let mut bench = listed_servers();
    few(&mut bench, 1, Endpoint::All);
    few(&mut bench, 2, Endpoint::One("a".into()));
    few(&mut bench, 3, Endpoint::One("b".into()));
    assert_eq!(told(&bench.does(chosen(denied(&["a__x"])))), ["1: tools", "2: tools"]);
    assert_eq!(told(&bench.does(chosen(denied(&["a__x", "a__z"])))), [""; 0], "there is no such tool");
    bench.lives(Duration::from_secs(1));
    // Of the prompts and resources of one server its clients do not hear: the server does not say so either.
    let lines = bench.does(chosen(servers(&["b"])));
    assert_eq!(told(&lines), ["1: tools", "1: prompts", "1: resources", "2: tools"]);
    bench.lives(Duration::from_secs(1));
    assert_eq!(told(&bench.does(chosen(servers(&["b"])))), [""; 0]);
    // A new server concerns those that see it, and so does a server that is gone.
    let policies = vec![policy("a"), policy("b"), policy("c")];
    let lines = bench.does(Event::Configured { policies });
    assert_eq!(told(&lines), ["9: tools", "9: prompts", "9: resources"]);
    bench.lives(Duration::from_secs(1));
    let lines = bench.does(Event::Chosen { choices: Vec::new() });
    assert_eq!(told(&lines), ["1: tools", "1: prompts", "1: resources", "2: tools"]);
}

#[test]
fn a_change_that_a_server_announces_is_told_to_those_that_see_the_server() {
    let mut bench = listed_servers();
    bench.does(chosen(servers(&["b"])));
    few(&mut bench, 1, Endpoint::All);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    assert_eq!(told(&bench.server_says(0, changed)), ["9: tools"]);
    bench.lives(Duration::from_secs(1));
    assert_eq!(told(&bench.server_says(1, changed)), ["1: tools", "9: tools"]);
}

#[test]
fn calls_under_way_are_answered_and_what_comes_later_is_refused() {
    let mut bench = listed_servers();
    few(&mut bench, 1, Endpoint::All);
    let sent = only(&bench.says(1, &call(1, "a__x")), "server 0");
    bench.says(1, &request(2, "resources/subscribe", &json!({"uri": "a:1"})));
    bench.does(chosen(servers(&["b"])));
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#, sent["id"]);
    let lines = bench.server_says(0, &answer);
    assert_eq!(lines, [r#"client 1 <- {"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#]);
    assert_eq!(only(&bench.says(1, &call(3, "a__x")), "client 1")["error"]["code"], -32602);
    // The subscription that the server grants now is for nobody.
    let number = sent["id"].as_u64().expect("a number") + 1;
    let lines = bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#));
    assert_eq!(only(&lines, "server 0")["method"], "resources/unsubscribe");
    let updated = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}"#;
    assert_eq!(bench.server_says(0, updated), [""; 0]);
    assert_eq!(bench.router.counts().subscriptions, 0);
    // A client that leaves cancels what a server that it may not see any more still works on for it.
    bench.does(Event::Chosen { choices: Vec::new() });
    let sent = only(&bench.says(1, &call(4, "a__x")), "server 0");
    bench.does(chosen(servers(&["b"])));
    let lines = bench.does(Event::Closed { client: exai_mux::ClientId(1) });
    assert_eq!(only(&lines, "server 0")["params"]["requestId"], sent["id"]);
}

#[test]
fn a_list_that_was_under_way_is_not_told_any_more() {
    let mut bench = listed_servers();
    few(&mut bench, 1, Endpoint::One("a".into()));
    let id = only(&bench.says(1, &request(2, "prompts/list", &json!({}))), "server 0")["id"].clone();
    bench.does(chosen(servers(&["b"])));
    let lines = bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"prompts":[]}}}}"#));
    assert_eq!(only(&lines, "client 1")["error"]["code"], -31006);
}

#[test]
fn what_waits_for_a_server_that_is_not_chosen_any_more_is_refused_at_once() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    few(&mut bench, 1, Endpoint::All);
    assert_eq!(bench.says(1, &call(1, "a__x")), ["start a#1 as 0"]);
    bench.open_as(2, Endpoint::One("a".into()), ClientName::Label("few".into()));
    assert_eq!(bench.says(2, &initialize("{}")), [""; 0], "it waits for the server");
    let lines = bench.does(chosen(servers(&["b"])));
    assert_eq!(only(&lines[..1], "client 1")["error"]["code"], -32602);
    let refused: Vec<String> = lines.into_iter().filter(|line| line.starts_with("client 2")).collect();
    assert_eq!(only(&refused, "client 2")["error"]["code"], -31006);
    assert_eq!(bench.router.counts().calls, 0);
}

#[test]
fn several_servers_of_a_shim_are_a_view_of_their_own_and_meet_the_choice() {
    let mut bench = listed_servers();
    let opened = few(&mut bench, 1, several(&["b", "gone"]));
    assert_eq!(opened["result"]["instructions"], "# b\nbe kind");
    assert_eq!(list(&mut bench, 1, "tools"), ["b__x", "b__y"]);
    assert_eq!(only(&bench.says(1, &call(2, "a__x")), "client 1")["error"]["code"], -32602);
    assert_eq!(only(&bench.says(1, &call(3, "b__x")), "server 1")["params"]["name"], "x");
    // Both apply.
    few(&mut bench, 2, several(&["a", "b"]));
    bench.does(chosen(Choice { tools: denied(&["b__y"]).tools, ..servers(&["b"]) }));
    assert_eq!(list(&mut bench, 2, "tools"), ["b__x"]);
}

#[test]
fn several_servers_of_which_none_is_known_are_answered_like_one_until_one_is_configured() {
    let mut bench = listed_servers();
    let refused = few(&mut bench, 1, several(&["gone", "lost"]));
    assert_eq!(refused["error"]["code"], -31006);
    let text = r#"no server is called "gone" or "lost"; configured are: a, b"#;
    assert_eq!(refused["error"]["message"], text);
    let answer = only(&bench.says(1, &request(2, "tools/list", &json!({}))), "client 1");
    assert_eq!(answer["error"]["code"], -31006);
    bench.does(Event::Configured { policies: vec![policy("a"), policy("b"), policy("lost")] });
    let opened = only(&bench.says(1, &initialize("{}")), "client 1");
    assert_eq!(opened["result"]["serverInfo"]["name"], "exai");
    assert_eq!(bench.says(1, &request(3, "tools/list", &json!({}))), ["start lost#1 as 2"]);
}

#[test]
fn a_link_hears_of_the_repeatable_tools_that_its_client_may_call() {
    let mut bench = listed_servers();
    bench.does(chosen(denied(&["a__x"])));
    bench.open_as(1, Endpoint::All, ClientName::Label("few".into()));
    let lines = bench.says(1, &initialize("{}"));
    assert!(lines.contains(&"repeatable 1: b__x".to_owned()), "{lines:?}");
    let lines = bench.does(chosen(servers(&["a"])));
    assert!(lines.contains(&"repeatable 1: a__x".to_owned()), "{lines:?}");
}

#[test]
fn the_choice_holds_while_the_daemon_drains() {
    let mut bench = listed_servers();
    bench.does(chosen(Choice { tools: denied(&["b__y"]).tools, ..servers(&["b"]) }));
    few(&mut bench, 1, Endpoint::All);
    few(&mut bench, 2, Endpoint::One("b".into()));
    let tools = |lines: &[String], client: &str| {
        let answer = only(lines, client);
        let tools = answer["result"]["tools"].as_array().expect("a list").clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let ask = request(2, "tools/list", &json!({}));
    assert_eq!(tools(&bench.says_late(1, &ask), "client 1"), ["b__x"]);
    assert_eq!(tools(&bench.says_late(2, &ask), "client 2"), ["x"]);
    bench.open_as(3, Endpoint::One("a".into()), ClientName::Label("few".into()));
    assert!(bench.says_late(3, &initialize("{}"))[0].starts_with("unserved 3"));
}
