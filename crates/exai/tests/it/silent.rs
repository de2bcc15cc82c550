//! F06: servers that do not read, do not answer, or answer too late. A waiting client is told in time, and no other
//! client is affected.

use std::time::{Duration, Instant};

use exai_test::eventually;
use serde_json::{Value, json};

use crate::faults::signal;
use crate::support::{Client, Instance, LIMIT, fixture};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);

fn instance() -> Instance {
    Instance::new(&(fixture("slow", &[]) + "call_timeout = \"2s\"\n" + &fixture("fine", &[])))
}

fn pid(client: &mut Client) -> u32 {
    client.call("pid", &json!({})).parse().expect("a pid")
}

/// Waits for the answer to `id`. Returns it, the time at which it came, and the longest call of another client until
/// then.
fn beside(
    fine: &mut Client,
    waiting: &mut Client,
    id: &Value,
    begun: Instant,
) -> (Value, Duration, Duration) {
    let mut longest = Duration::ZERO;
    loop {
        let asked = Instant::now();
        assert_eq!(fine.call("echo", &json!({"message": "fine"})), "fine");
        longest = longest.max(asked.elapsed());
        if let Some(message) = waiting.receive_within(Duration::from_millis(1))
            && message["id"] == *id
        {
            return (message, begun.elapsed(), longest);
        }
        assert!(begun.elapsed() < LIMIT, "no answer to {id}");
    }
}

#[track_caller]
fn in_time(took: Duration) {
    assert!(took >= TIMEOUT.mul_f64(0.95) && took <= TIMEOUT.mul_f64(1.1), "after {took:?}");
}

#[track_caller]
fn timed_out(answer: &Value) {
    assert_eq!(answer["error"]["code"], -31004, "{answer}");
    let data = &answer["error"]["data"];
    assert_eq!((&data["sent"], &data["retrySafe"]), (&json!(true), &json!(false)), "{answer}");
}

#[test]
fn a_server_that_never_answers_costs_its_caller_the_timeout_and_is_told_to_stop() {
    let instance = instance();
    let (mut slow, mut fine) = (instance.client("slow"), instance.client("fine"));
    let mut other = instance.client("slow");
    other.call("echo", &json!({"message": "warm"}));
    fine.call("echo", &json!({"message": "warm"}));
    let begun = Instant::now();
    let id = slow.request("tools/call", &json!({"name": "hang", "arguments": {"label": "silent"}}));
    let (answer, took, longest) = beside(&mut fine, &mut slow, &id, begun);
    timed_out(&answer);
    in_time(took);
    eventually("the server hears of it", LIMIT, || other.call("cancelled", &json!({})).contains("silent"));
    eprintln!(
        "a call that is never answered: -31004 after {took:.2?}; the longest call of others {longest:.1?}"
    );
}

#[test]
fn progress_keeps_a_call_alive_as_long_as_it_comes() {
    let instance = instance();
    let mut slow = instance.client("slow");
    slow.call("echo", &json!({"message": "warm"}));
    let begun = Instant::now();
    let steps =
        json!({"name": "progress", "arguments": {"steps": 4, "ms": 900}, "_meta": {"progressToken": "t"}});
    let answer = slow.ask("tools/call", &steps);
    let took = begun.elapsed();
    assert_eq!(answer["result"]["content"][0]["text"], "4 steps", "{answer}");
    assert!(took > TIMEOUT.mul_f64(1.5), "{took:?}");
    eprintln!("a call that reports progress every 0.9 s is answered after {took:.1?}, with a timeout of 2 s");
}

#[test]
fn a_server_that_reads_no_more_is_no_reason_to_wait_and_its_late_answers_reach_nobody() {
    let instance = instance();
    let (mut slow, mut fine) = (instance.client("slow"), instance.client("fine"));
    let frozen = pid(&mut slow);
    fine.call("echo", &json!({"message": "warm"}));
    signal("STOP", frozen);
    // Far more than a pipe holds, so most of it stays with the daemon.
    let large = "x".repeat(32 << 10);
    let begun = Instant::now();
    let call = json!({"name": "echo", "arguments": {"message": large}});
    let ids: Vec<Value> = (0..8).map(|_| slow.request("tools/call", &call)).collect();
    let (first, took, longest) = beside(&mut fine, &mut slow, &ids[0], begun);
    timed_out(&first);
    in_time(took);
    for id in &ids[1..] {
        timed_out(&slow.answer(id));
    }
    assert!(longest < SECOND, "{longest:?}");
    signal("CONT", frozen);
    // The server executes the calls in its pipe and answers them. The client must only get the answer to its next call.
    let id = slow.request("tools/call", &json!({"name": "calls", "arguments": {}}));
    let next = slow.receive();
    assert_eq!(next["id"], id, "somebody has heard a late answer: {next}");
    let executed = next["result"]["content"][0]["text"].as_str().and_then(|text| text.parse::<usize>().ok());
    assert_eq!(executed, Some(1 + ids.len() + 1), "all were written before they were given up: {next}");
    assert_eq!(pid(&mut slow), frozen, "it is the same process");
    eprintln!(
        "a server that reads no more: -31004 after {took:.2?}, the longest call of others {longest:.1?}; \
         {} late answers reached nobody",
        ids.len()
    );
}
