//! A server that takes long to start is known from the last time: no client waits for it.

use std::fs;

use serde_json::json;

use crate::support::{Instance, fixture};

fn names(answer: &serde_json::Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_daemon_that_has_just_started_answers_for_a_server_that_has_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let may_start = dir.path().join("may start");
    let instance = Instance::new(&fixture("slow", &["--start-after", &may_start.to_string_lossy()]));
    let state = || instance.status()["servers"][0]["state"].clone();
    fs::write(&may_start, "").expect("a file");
    let first = names(&instance.client("slow").ask("tools/list", &json!({})));
    instance.ends(0, &["restart"]);
    instance.ends(0, &["stop"]);
    assert!(instance.home().join("discovery/slow.json").exists());

    // The daemon is started by this client, and the server says nothing before it may.
    fs::remove_file(&may_start).expect("the file");
    let mut client = instance.shim(&["--server", "slow"]);
    let said = client.initialize(&json!({}));
    assert_eq!(said["result"]["serverInfo"]["name"], "fixture-server");
    assert_eq!(names(&client.ask("tools/list", &json!({}))), first);
    assert_eq!(state(), "starting");
    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    assert!(names(&all.ask("tools/list", &json!({}))).contains(&format!("slow__{}", first[0])));
    assert_eq!(state(), "starting");

    // A call needs the server itself.
    let call = client.request("tools/call", &json!({"name": "pid", "arguments": {}}));
    fs::write(&may_start, "").expect("a file");
    assert!(client.answer(&call)["result"].is_object());
    assert_eq!(state(), "ready");
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
