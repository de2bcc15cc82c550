//! A starting server is represented by what it said in an earlier run.

use std::time::Duration;

use bytes::Bytes;
use exai_mux::policy::{Policy, ToolFilter};
use exai_mux::{Discovery, Endpoint, Era, Event};

use crate::support::{Bench, initialize, only, policy, server_result};

const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;

fn discovery(tools: &[&str]) -> Discovery {
    let item = |name: &&str| {
        Bytes::from(format!("{{\"name\":\"{name}\",\"annotations\":{{\"readOnlyHint\":true}}}}"))
    };
    Discovery {
        era: Era::Legacy,
        introduction: server_result().into(),
        lists: vec![("tools/list".to_owned(), tools.iter().map(item).collect())],
    }
}

/// A router that knows the server from an earlier daemon but has never seen it run.
fn knowing(policy: Policy, tools: &[&str]) -> Bench {
    let mut bench = Bench::new(vec![policy]);
    assert_eq!(
        bench.does(Event::DiscoveryKnown { server: "a".into(), revision: 1, discovery: discovery(tools) }),
        [""; 0]
    );
    bench
}

fn names(lines: &[String], client: u64) -> Vec<String> {
    let answer = only(lines, &format!("client {client}"));
    let tools = answer["result"]["tools"].as_array().expect("tools");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn initialize_and_lists_are_answered_at_once_and_calls_wait() {
    let mut bench = knowing(policy("a"), &["x", "y"]);
    let lines = bench.introduced(1, "a", "{}");
    assert_eq!(lines[0], "repeatable 1: x y");
    assert_eq!(lines[1], "start a#1 as 0", "it is needed soon");
    assert_eq!(only(&lines, "client 1")["result"]["serverInfo"]["x-vendor"], 1);
    assert_eq!(names(&bench.says(1, LIST), 1), ["x", "y"]);
    let call = r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"x"}}"#;
    assert_eq!(bench.says(1, call), [""; 0]);
    let lines = bench.ready(0);
    assert!(lines.iter().any(|line| line.contains("tools/call")), "{lines:?}");
    assert!(!bench.learned, "it said the same");
    // The list that was answered from memory is checked against the running server.
    let same =
        bench.server_says(0, r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"x"},{"name":"z"}]}}"#);
    assert_eq!(only(&same, "client 1")["method"], "notifications/tools/list_changed");
    assert!(bench.learned);
    let (revision, known) = bench.router.discovery("a", Era::Legacy).expect("it is known");
    assert_eq!((revision, known.lists[0].1.len()), (1, 2));
}

#[test]
fn all_servers_together_are_listed_from_memory_and_nothing_is_started() {
    let mut bench = knowing(policy("a"), &["x"]);
    bench.open(1, Endpoint::All);
    let said = only(&bench.says(1, &initialize("{}"))[..], "client 1");
    assert_eq!(said["result"]["instructions"], "# a\nbe kind");
    assert_eq!(names(&bench.says(1, LIST), 1), ["a__x"]);
    // The server runs later, and its list is another one.
    bench.introduced(2, "a", "{}");
    let lines = bench.ready(0);
    assert!(lines.iter().any(|line| line.contains("tools/list")), "{lines:?}");
    let lines = bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}"#);
    assert_eq!(only(&lines, "client 1")["method"], "notifications/tools/list_changed");
}

#[test]
fn a_server_that_is_being_started_keeps_no_list_of_all_servers_waiting() {
    let mut bench = knowing(policy("a"), &["x"]);
    bench.introduced(1, "a", "{}");
    bench.open(2, Endpoint::All);
    bench.says(2, &initialize("{}"));
    assert_eq!(names(&bench.says(2, LIST), 2), ["a__x"]);
    // The server is asked for its list when it is ready, and a client that got the old list is told of the new one.
    let asked = bench.ready(0).into_iter().filter(|line| line.contains("tools/list")).count();
    assert_eq!(asked, 1);
    let lines = bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"y"}]}}"#);
    assert_eq!(only(&lines, "client 2")["method"], "notifications/tools/list_changed");
    assert_eq!(names(&bench.says(2, LIST), 2), ["a__y"]);
}

#[test]
fn a_server_that_cannot_be_started_now_is_known_all_the_same() {
    let mut bench = knowing(policy("a"), &["x"]);
    bench.introduced(1, "a", "{}");
    bench.down(0, "could not be started: no such file");
    let again = bench.introduced(2, "a", "{}");
    assert!(only(&again, "client 2")["result"].is_object(), "it may be started by the time it is called");
    let call = r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"x"}}"#;
    assert_eq!(only(&bench.says(2, call), "client 2")["error"]["code"], -31006);
    bench.passes(Duration::from_secs(1));
    assert_eq!(bench.says(2, call), ["start a#2 as 1"]);
}

#[test]
fn what_is_blocked_is_not_shown_from_memory_either_and_a_later_page_is_asked_for() {
    let denied = ToolFilter { deny: vec!["x".into()], ..ToolFilter::default() };
    let mut bench = knowing(Policy { tools: denied, ..policy("a") }, &["x", "y"]);
    bench.introduced(1, "a", "{}");
    assert_eq!(names(&bench.says(1, LIST), 1), ["y"]);
    let page = r#"{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{"cursor":"2"}}"#;
    assert_eq!(bench.says(1, page), [""; 0]);
    let prompts = r#"{"jsonrpc":"2.0","id":10,"method":"prompts/list"}"#;
    assert_eq!(bench.says(1, prompts), [""; 0], "that was never known");
}

#[test]
fn what_it_says_itself_counts_more_and_another_revision_forgets() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    assert!(bench.learned);
    bench.does(Event::DiscoveryKnown { server: "a".into(), revision: 1, discovery: discovery(&["late"]) });
    assert!(bench.router.discovery("a", Era::Legacy).expect("it is known").1.lists.is_empty());
    bench.does(Event::Configured { policies: vec![Policy { revision: 2, ..policy("a") }] });
    assert_eq!(bench.router.discovery("a", Era::Legacy), None);
}
