//! Clients that do not read, or that send without end, harm only themselves.

use std::io::Write;
use std::process::Stdio;

use exai_client::link::Incoming;
use exai_proto::link::Role;
use exai_test::eventually;
use serde_json::{Value, json};

use crate::hold::Peer;
use crate::support::{Instance, LIMIT};

const MIB: usize = 1024 * 1024;

fn log(instance: &Instance) -> String {
    std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default()
}

#[test]
fn a_client_that_does_not_read_is_cut_with_a_reason_and_the_others_are_served() {
    let instance = Instance::with_fixture(&[]);
    let mut reader = instance.client("fix");
    let mut deaf = instance
        .command(&["shim", "--server", "fix"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shim");
    let mut input = deaf.stdin.take().expect("a pipe");
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "deaf", "version": "1"}});
    let call = json!({"name": "big", "arguments": {"bytes": 2 * MIB}});
    let mut say = |id: u32, method: &str, params: &Value| {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(input, "{request}").expect("the shim reads");
    };
    say(0, "initialize", &hello);
    for id in 1..40 {
        say(id, "tools/call", &call);
    }
    eventually("the client is cut", LIMIT, || log(&instance).contains("too much waits for this client"));
    assert_eq!(reader.call("echo", &json!({"message": "still here"})), "still here");
    assert!(instance.status()["counters"]["clients_cut"].as_u64() >= Some(1));
    deaf.kill().expect("it can be killed");
    deaf.wait().expect("it can be waited for");
}

#[test]
fn large_answers_one_after_the_other_cut_nobody_who_reads() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    // Small and large answers at the same time: a small one is always waiting when a large one comes.
    let small = json!({"name": "echo", "arguments": {"message": "x"}});
    let large = json!({"name": "big", "arguments": {"bytes": 20 * MIB}});
    for round in 0..3 {
        let first = client.request("tools/call", &small);
        let second = client.request("tools/call", &large);
        assert!(client.answer(&first)["result"].is_object(), "round {round}");
        assert!(client.answer(&second)["result"].is_object(), "round {round}");
    }
    assert!(!log(&instance).contains("too much waits"));
}

#[test]
fn a_client_that_talks_without_end_is_answered_in_order_and_the_others_are_served_meanwhile() {
    const PINGS: u64 = 20_000;
    let instance = Instance::with_fixture(&[]);
    let mut other = instance.client("fix");
    let mut talker = instance.client("fix");
    let pings: Vec<String> = (0..PINGS)
        .map(|id| json!({"jsonrpc": "2.0", "id": format!("p{id}"), "method": "ping"}).to_string())
        .collect();
    talker.write((pings.join("\n") + "\n").as_bytes());
    for round in 0..20 {
        let message = format!("round {round}");
        assert_eq!(other.call("echo", &json!({"message": message})), message);
    }
    for id in 0..PINGS {
        assert_eq!(talker.receive()["id"], format!("p{id}"));
    }
}

#[test]
fn of_progress_that_waits_the_newest_arrives_and_before_the_answer() {
    const STEPS: u32 = 20_000;
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let mut peer = Peer::client(&instance, Role::Shim);
    let call =
        json!({"name": "progress", "arguments": {"steps": STEPS, "ms": 0}, "_meta": {"progressToken": "t"}});
    peer.request("steps", "tools/call", &call);
    eventually("the server is done", LIMIT, || instance.status()["clients"][0]["in_flight"] == json!(0));
    let mut seen = Vec::new();
    let answer = loop {
        let Incoming::Message(text) = peer.next().expect("a message") else { continue };
        let message: Value = serde_json::from_slice(&text).expect("JSON");
        match message["params"]["progress"].as_f64() {
            Some(progress) => seen.push(progress),
            None => break message,
        }
    };
    assert_eq!(answer["id"], "steps");
    assert_eq!(seen.last(), Some(&f64::from(STEPS)), "the newest is there");
    assert!(seen.is_sorted() && seen.len() < 20_000, "{} of {STEPS}", seen.len());
}
