//! Clients without a shim, and what they see of a daemon that drains.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exai_test::{eventually, free_port};
use serde_json::{Value, json};

use crate::http::HttpClient;
use crate::support::{Instance, LIMIT, fixture, text};

fn initialize(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}})
}

fn request(id: u64, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method})
}

fn call(id: u64, ms: u64) -> Value {
    let arguments = json!({"message": "done", "ms": ms});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "delay", "arguments": arguments}})
}

fn begin(instance: &Instance) -> HttpClient {
    let bearer = format!("Bearer {}", instance.token());
    let mut client = HttpClient { port: instance.port(), bearer, session: None };
    let response = client.post(&initialize(0));
    assert_eq!(response.status, 200);
    client.session = response.header("mcp-session-id").map(ToOwned::to_owned);
    client
}

/// An instance on a port that stays the same after a restart.
pub(crate) fn instance(switches: &[&str]) -> Instance {
    let instance = Instance::with_fixture(switches);
    let fixed = format!("[daemon]\nport = {}\n{}", free_port(), fixture("fix", switches));
    std::fs::write(instance.home().join("config.toml"), fixed).expect("config.toml is written");
    instance.ends(0, &["start"]);
    instance
}

/// Restarts the daemon, which drains until a call is answered.
fn restarting(instance: &Instance) -> Child {
    let restart = instance.command(&["restart"]).stdout(Stdio::null()).spawn().expect("exai runs");
    eventually("the daemon drains", LIMIT, || instance.status()["state"] == "draining");
    restart
}

#[test]
fn a_client_of_http_is_answered_from_memory_while_the_daemon_drains_and_else_told_to_begin_anew() {
    let instance = instance(&[]);
    let client = begin(&instance);
    let tools = client.post(&request(1, "tools/list")).answer();
    assert!(tools["result"]["tools"].is_array(), "{tools}");
    let go_on = instance.dir().join("go on");
    let until = json!({"name": "until", "arguments": {"file": go_on, "message": "done"}});
    let until = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": until});
    let under_way = client.post(&until);
    let mut restart = restarting(&instance);
    assert_eq!(client.post(&request(3, "tools/list")).answer()["result"]["tools"], tools["result"]["tools"]);
    assert_eq!(client.post(&request(4, "ping")).answer()["result"], json!({}));
    for _ in 0..20 {
        let refused = client.post(&call(5, 0));
        assert_eq!(refused.status, 404, "the status that clients begin a session anew on");
        assert_eq!(refused.json()["error"]["code"], -32001);
    }
    let another = begin(&instance);
    assert_eq!(another.post(&request(1, "tools/list")).answer()["result"]["tools"], tools["result"]["tools"]);
    let mut unknown = HttpClient { session: None, ..client.clone() };
    let refused = unknown.send("POST", "/mcp/nobody", &initialize(0).to_string());
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    std::fs::write(&go_on, "").expect("a file");
    assert_eq!(under_way.answer()["result"]["content"][0]["text"], "done", "what was under way is answered");
    assert!(restart.wait().expect("it ends").success());
    for stale in [&client, &another] {
        assert_eq!(stale.post(&call(6, 0)).status, 404);
    }
    unknown = begin(&instance);
    assert_eq!(unknown.post(&call(7, 0)).answer()["result"]["content"][0]["text"], "done");
}

#[test]
fn clients_that_talk_without_a_pause_do_not_keep_a_daemon_from_its_end() {
    let instance = instance(&[]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for id in 1..4 {
            let client = begin(&instance);
            let over = &over;
            scope.spawn(move || {
                // Ends when the next daemon does not know the session, or when nothing listens on the port for a
                // moment.
                let ping = || thread::scope(|scope| scope.spawn(|| client.post(&request(id, "ping"))).join());
                while !over.load(Ordering::Relaxed) && ping().is_ok_and(|answer| answer.status == 200) {}
            });
        }
        let under_way = begin(&instance).post(&call(0, 300));
        let begun = Instant::now();
        let restarted = instance.exai(&["restart"]);
        over.store(true, Ordering::Relaxed);
        assert_eq!(under_way.answer()["result"]["content"][0]["text"], "done");
        let said = text(&[restarted.stdout, restarted.stderr].concat());
        assert!(restarted.status.success() && !said.contains("did not end by itself"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
}
