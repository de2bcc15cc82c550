//! The router tells each link which tools may be called twice.

use exai_mux::policy::{Policy, ToolFilter};
use exai_mux::{Endpoint, Event};

use crate::support::{Bench, initialize, policy};

const TOOLS: &str = r#"[{"name":"look","annotations":{"readOnlyHint":true}},{"name":"set","annotations":{"idempotentHint":true}},{"name":"add","annotations":{"readOnlyHint":false}},{"name":"get_x"},{"name":"odd","annotations":{"readOnlyHint":true,"destructiveHint":true}}]"#;

fn told(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("repeatable ")).collect()
}

/// Client 1, on the endpoint of server a, asks for the tools; returns what the router does with the answer.
fn listed(bench: &mut Bench, more: &str) -> Vec<String> {
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, r#"{"jsonrpc":"2.0","id":5,"method":"tools/list"}"#);
    bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"tools":{TOOLS}{more}}}}}"#))
}

#[test]
fn a_list_that_passes_by_tells_everybody_what_may_be_repeated() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(2, Endpoint::All);
    bench.says(2, &initialize("{}"));
    assert_eq!(told(&listed(&mut bench, "")), ["1: look set", "2: a__look a__set"]);
    // A client that comes later is told at once, and no client is told twice.
    assert_eq!(told(&bench.introduced(3, "a", "{}")), ["3: look set"]);
    bench.says(1, r#"{"jsonrpc":"2.0","id":6,"method":"tools/list"}"#);
    let again = format!(r#"{{"jsonrpc":"2.0","id":3,"result":{{"tools":{TOOLS}}}}}"#);
    assert_eq!(told(&bench.server_says(0, &again)), [""; 0]);
}

#[test]
fn an_incomplete_list_tells_nothing() {
    let mut bench = Bench::new(vec![policy("a")]);
    assert_eq!(told(&listed(&mut bench, r#","nextCursor":"2""#)), [""; 0]);
}

#[test]
fn what_is_not_trusted_or_not_allowed_is_never_repeated() {
    let mut bench = Bench::new(vec![Policy { trusted: false, ..policy("a") }]);
    assert_eq!(told(&listed(&mut bench, "")), [""; 0]);
    let denied = ToolFilter { deny: vec!["look".into()], ..ToolFilter::default() };
    let mut bench = Bench::new(vec![Policy { tools: denied, ..policy("a") }]);
    assert_eq!(told(&listed(&mut bench, "")), ["1: set"]);
    // The changed configuration does not trust the server any more.
    let policies = vec![Policy { trusted: false, ..policy("a") }];
    assert_eq!(told(&bench.does(Event::Configured { policies })), ["1: "]);
}
