//! One daemon, however it is started, and shims that come and go.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, text};

#[test]
fn start_status_stop_say_what_they_did_and_can_be_repeated() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(3, &["status"]);
    let stopped: Value = serde_json::from_str(&instance.ends(3, &["status", "--json"])).expect("a document");
    assert_eq!((&stopped["state"], &stopped["daemon"]), (&json!("stopped"), &Value::Null));
    let said = instance.ends(0, &["start"]);
    // Clients pass on only the variables that they know, so the snippet must name `EXAI_HOME`.
    let snippet = said.lines().find(|line| line.contains("mcpServers")).expect("it says how to connect");
    let snippet: Value = serde_json::from_str(snippet).expect("JSON");
    let shim = &snippet["mcpServers"]["exai"];
    assert_eq!(shim["args"], json!(["shim"]));
    assert_eq!(shim["env"]["EXAI_HOME"], instance.home().to_str().expect("a path"));
    let again = instance.exai(&["start"]);
    assert!(again.status.success());
    assert!((text(&again.stdout) + &text(&again.stderr)).contains("already running"));
    let status = instance.status();
    assert_eq!(status["state"], "running");
    assert_eq!(status["daemon"]["identity_verified"], true);
    for listener in status["daemon"]["listeners"].as_array().into_iter().flatten() {
        assert_eq!((&listener["verified"], &listener["owner_pid"]), (&json!(true), &status["daemon"]["pid"]));
    }
    assert_eq!(instance.exai(&["serve"]).status.code(), Some(75), "another daemon holds the lock");
    instance.ends(0, &["stop"]);
    instance.ends(3, &["status"]);
    assert!(!instance.home().join("daemon.json").exists());
    instance.ends(0, &["stop"]);
}

#[test]
fn restart_gives_another_daemon_and_the_open_shim_goes_on() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let before = instance.status()["daemon"]["pid"].clone();
    instance.ends(0, &["restart"]);
    assert_ne!(instance.status()["daemon"]["pid"], before);
    assert_eq!(client.call("echo", &json!({"message": "still here"})), "still here");
}

#[test]
fn thirty_shims_at_once_with_nothing_running_make_one_daemon_and_one_server() {
    let instance = Instance::with_fixture(&[]);
    let mut clients: Vec<_> = (0..30).map(|_| instance.shim(&["--server", "fix"])).collect();
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let ids: Vec<Value> = clients.iter_mut().map(|client| client.request("initialize", &hello)).collect();
    for (client, id) in clients.iter_mut().zip(ids) {
        assert_eq!(client.answer(&id)["result"]["protocolVersion"], "2025-06-18");
    }
    let pids: BTreeSet<String> = clients.iter_mut().map(|client| client.call("pid", &json!({}))).collect();
    assert_eq!(pids.len(), 1, "one server: {pids:?}");
    let status = instance.status();
    assert_eq!(status["clients"].as_array().map(Vec::len), Some(30));
    let shims: BTreeSet<u64> = status["clients"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|client| client["shim_pid"].as_u64())
        .collect();
    let own: BTreeSet<u64> = clients.iter().map(|client| u64::from(client.pid())).collect();
    assert_eq!(shims, own);
}

#[test]
fn a_shim_ends_within_two_seconds_of_its_stdin_and_is_forgotten_by_the_daemon() {
    let instance = Instance::with_fixture(&[]);
    let client = instance.client("fix");
    let took = client.finish();
    assert!(took < Duration::from_secs(2), "{took:?}");
    eventually("the daemon forgets the shim", Duration::from_secs(2), || {
        instance.status()["clients"] == json!([])
    });
}

#[test]
fn an_answer_that_is_under_way_when_stdin_ends_still_comes() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    client.request("tools/call", &json!({"name": "delay", "arguments": {"ms": 300, "message": "late"}}));
    let output = {
        let id = json!(2);
        let mut command = instance.command(&["shim", "--server", "fix"]);
        let input = format!(
            "{}\n{}\n",
            json!({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}),
            json!({"jsonrpc":"2.0","id":id,"method":"tools/call","params":{"name":"delay","arguments":{"ms":50,"message":"late"}}}),
        );
        let file = instance.dir().join("input");
        std::fs::write(&file, input).expect("a file");
        command.stdin(std::fs::File::open(&file).expect("the file")).output().expect("the shim runs")
    };
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("\"late\""), "{}", text(&output.stdout));
}

/// How soon another daemon and another server must be there. Under Wine, on a busy machine, a process takes up to a
/// second to start, and these are three processes.
const BACK: Duration = Duration::from_secs(if cfg!(windows) { 8 } else { 2 });

#[test]
fn a_killed_daemon_is_replaced_and_each_request_under_way_gets_one_honest_error() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let pid = instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32;
    let id = client.request("tools/call", &json!({"name": "hang", "arguments": {"label": "x"}}));
    eventually("the call reaches the server", LIMIT, || {
        instance.status()["clients"][0]["in_flight"] == json!(1)
    });
    let identity = exai_os::process::identify(pid).expect("the process list").expect("the daemon lives");
    exai_os::process::kill_verified(&identity, exai_os::process::Kill::Force).expect("it can be killed");
    let killed = Instant::now();
    let answer = client.answer(&id);
    assert_eq!(answer["error"]["code"], -31002);
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    assert_eq!(client.call("echo", &json!({"message": "back"})), "back");
    assert!(killed.elapsed() < BACK, "{:?}", killed.elapsed());
}

#[test]
fn after_stop_only_a_clients_next_call_brings_the_daemon_back() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    instance.ends(0, &["stop"]);
    client.request("ping", &json!({}));
    std::thread::sleep(Duration::from_millis(700)); // no event shows that something does not happen
    instance.ends(3, &["status"]);
    assert_eq!(client.call("echo", &json!({"message": "again"})), "again");
    instance.ends(0, &["status"]);
}

#[test]
fn after_a_stop_lists_are_answered_from_memory_and_only_a_call_starts_a_daemon() {
    let instance = Instance::with_fixture(&[]);
    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    let mut one = instance.client("fix");
    let lists = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];
    let ask = |client: &mut crate::support::Client| {
        lists.map(|list| client.ask(list, &json!({}))["result"].clone())
    };
    let known = [ask(&mut all), ask(&mut one)];
    assert!(known.iter().flatten().all(Value::is_object), "{known:?}");
    instance.ends(0, &["stop"]);
    assert_eq!([ask(&mut all), ask(&mut one)], known);
    let nothing = one.ask("ping", &json!({}));
    assert_eq!(nothing["error"]["code"], -31001, "{nothing}");
    instance.ends(3, &["status"]);
    assert_eq!(one.call("echo", &json!({"message": "again"})), "again");
    assert_eq!(instance.status()["state"], "running");
}
