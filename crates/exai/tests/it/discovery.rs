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

#[test]
fn a_start_removes_what_is_known_of_servers_that_are_gone_and_nothing_else() {
    let instance = Instance::with_fixture(&[]);
    let kept = instance.home().join("discovery");
    let known = kept.join("fix.json");
    instance.client("fix").ask("tools/list", &json!({}));
    instance.ends(0, &["stop"]);
    assert!(known.exists());
    instance.configure("");
    let ours = fs::read_to_string(&known).expect("the file");
    let foreign = [
        ("notes.json", r#"{"mine":true}"#.to_owned()),
        ("torn.json", "{".to_owned()),
        ("empty.json", String::new()),
        ("later.json", ours.replace(r#""schema":1"#, r#""schema":2"#)),
        ("no name of a server.json", ours.clone()),
    ];
    for (name, text) in &foreign {
        fs::write(kept.join(name), text).expect("a file");
    }
    let restart = || {
        instance.ends(0, &["start"]);
        instance.ends(0, &["stop"]);
    };
    restart();
    assert!(!known.exists(), "nobody needs it");
    for (name, text) in &foreign {
        assert_eq!(fs::read_to_string(kept.join(name)).ok().as_ref(), Some(text), "{name}");
    }
    if cfg!(windows) {
        return; // links are for few there
    }
    // What a link leads to is somebody's, whatever it looks like.
    let elsewhere = instance.dir().join("elsewhere");
    fs::rename(&kept, &elsewhere).expect("it is moved");
    fs::write(elsewhere.join("fix.json"), &ours).expect("a file");
    let made = std::process::Command::new("ln").arg("-s").arg(&elsewhere).arg(&kept).status();
    assert!(made.is_ok_and(|status| status.success()));
    restart();
    assert_eq!(fs::read_to_string(elsewhere.join("fix.json")).ok(), Some(ours));
}
