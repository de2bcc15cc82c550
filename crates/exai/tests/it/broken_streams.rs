//! Servers over HTTP whose streams break off or never end.

use std::time::{Duration, Instant};

use exai_test::{eventually, free_port};
use serde_json::{Value, json};

use crate::listening::listening;
use crate::support::{Instance, LIMIT, text};

/// The number of calls that the server has executed.
fn executed(ledger: &std::path::Path) -> usize {
    std::fs::read(ledger).map_or(0, |bytes| text(&bytes).lines().count())
}

#[test]
fn a_call_that_was_executed_is_never_said_not_to_be_sent_however_its_stream_breaks() {
    for how in ["exit", "deaf", "hang-up", "refuse"] {
        let port = free_port();
        let instance = Instance::new("");
        let ledger = instance.dir().join("ledger");
        let switches =
            ["--http-sse", "--http-break", how, "--ledger", ledger.to_str().expect("a path in UTF-8")];
        instance.configure(&listening(port, &switches));
        let mut client = instance.client("fix");
        let answer = client.ask("tools/call", &json!({"name": "append", "arguments": {"message": "once"}}));
        assert_eq!(executed(&ledger), 1, "{how}: {answer}");
        let data = &answer["error"]["data"];
        assert_eq!((&data["sent"], &data["retrySafe"]), (&json!(true), &json!(false)), "{how}: {answer}");
        let code = answer["error"]["code"].as_i64();
        assert!(matches!(code, Some(-31002 | -31005)), "{how}: {answer}");
    }
}

#[test]
fn a_stream_that_ends_at_once_and_wants_to_be_asked_again_at_once_is_asked_less_and_less() {
    let port = free_port();
    let instance = Instance::new("");
    let gets = instance.dir().join("gets");
    let switches = ["--http-sse", "--http-no-rest", gets.to_str().expect("a path in UTF-8")];
    instance.configure(&listening(port, &switches));
    let mut client = instance.client("fix");
    let begun = Instant::now();
    assert_eq!(client.call("delay", &json!({"ms": 2000, "message": "late"})), "late");
    let most = 12 + begun.elapsed().as_secs();
    let seen = executed(&gets) as u64;
    assert!((2..=most).contains(&seen), "{seen} GETs in {:?}", begun.elapsed());
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn who_asks_without_end_and_reads_no_answer_costs_a_bound_of_memory() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    assert_eq!(client.call("echo", &json!({"message": "a"})), "a");
    let before = instance.memory();
    let id = client.request("tools/call", &json!({"name": "pings", "arguments": {"count": 600_000}}));
    let mut peak = 0;
    let mut answer = Value::Null;
    eventually("it has asked", LIMIT * 4, || {
        peak = peak.max(instance.memory());
        answer = client.receive_within(Duration::from_millis(100)).unwrap_or_default();
        answer["id"] == id
    });
    assert_eq!(answer["result"]["content"][0]["text"], "asked", "{answer}");
    assert!(peak < before + (40 << 20), "from {before} to {peak} bytes");
    assert_eq!(client.call("echo", &json!({"message": "b"})), "b");
}
