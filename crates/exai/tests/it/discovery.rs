//! A server that takes long to start is known from the last time: no client waits for it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Instance, fixture};

/// Longer than anybody should wait for a word, shorter than a test may take.
const START: &str = "3000";

fn names(answer: &serde_json::Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_daemon_that_has_just_started_answers_for_a_server_that_has_not() {
    let instance = Instance::new(&fixture("slow", &["--slow-start", START]));
    let start = Instant::now();
    let mut client = instance.client("slow");
    let first = names(&client.ask("tools/list", &json!({})));
    let unknown = start.elapsed();
    assert!(unknown > Duration::from_secs(3), "nobody can know it before: {unknown:?}");
    instance.ends(0, &["restart"]);
    drop(client);
    instance.ends(0, &["stop"]);
    assert!(instance.home().join("discovery/slow.json").exists());

    // The daemon is started by this client.
    let start = Instant::now();
    let mut client = instance.shim(&["--server", "slow"]);
    let said = client.initialize(&json!({}));
    assert_eq!(said["result"]["serverInfo"]["name"], "fixture-server");
    assert_eq!(names(&client.ask("tools/list", &json!({}))), first);
    let known = start.elapsed();
    assert!(known < Duration::from_secs(2), "{known:?}");
    // A call needs the server itself.
    client.call("pid", &json!({}));
    let called = start.elapsed();
    assert!(called > Duration::from_secs(3), "{called:?}");
    eprintln!(
        "a server that starts in 3 s: known after {unknown:.2?} the first time, {known:.2?} the second"
    );

    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    assert!(names(&all.ask("tools/list", &json!({}))).contains(&format!("slow__{}", first[0])));
}

#[test]
fn a_server_that_is_started_in_another_way_is_not_taken_for_the_one_that_was_known() {
    let instance = Instance::new(&fixture("fix", &["--name", "one"]));
    instance.client("fix");
    instance.ends(0, &["stop"]);
    instance.configure(&fixture("fix", &["--name", "two"]));
    let mut client = instance.shim(&["--server", "fix"]);
    assert_eq!(client.initialize(&json!({}))["result"]["serverInfo"]["name"], "two");
}
