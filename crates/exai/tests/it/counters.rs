//! `limits` and `counters` of `exai status`.

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture};

#[test]
fn what_happens_is_counted_and_at_rest_nothing_is_held_for_anybody() {
    let servers = fixture("fix", &[]) + &fixture("slow", &[]) + "call_timeout = \"1s\"\n";
    let instance = Instance::new(&servers);
    let mut client = instance.client("fix");
    let mut late = instance.client("slow");
    let hung = late.request("tools/call", &json!({"name": "hang", "arguments": {"label": "x"}}));

    let status = instance.status();
    let most = status["limits"]["requests_per_client"].as_u64().expect("a bound");
    assert_eq!((most, &status["limits"]["client_queue_bytes"]), (1024, &json!(24 * 1024 * 1024)));
    // No call is answered before the last one has arrived.
    let go_on = instance.dir().join("go on");
    let until = json!({"name": "until", "arguments": {"file": go_on, "message": "done"}});
    let asked: Vec<Value> = (0..=most).map(|number| json!(format!("call {number}"))).collect();
    let call = |id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": until});
    let lines: Vec<String> = asked.iter().map(|id| call(id).to_string() + "\n").collect();
    client.write(lines.concat().as_bytes());
    assert_eq!(client.answer(asked.last().expect("one"))["error"]["code"], -31003, "one too many");
    std::fs::write(&go_on, "").expect("a file");
    assert_eq!(client.answer(&asked[0])["result"]["content"][0]["text"], "done");

    assert_eq!(late.answer(&hung)["error"]["code"], -31004);
    let died = late.ask("tools/call", &json!({"name": "die", "arguments": {"code": 1}}));
    assert_eq!(died["error"]["code"], -31005);

    let counters = || instance.status()["counters"].clone();
    eventually("all is answered", LIMIT, || counters()["in_flight"] == json!(0));
    let seen = counters();
    for (name, expected) in [("overloaded", 1), ("timed_out", 1), ("server_crashes", 1), ("clients_cut", 0)] {
        assert_eq!(seen[name], json!(expected), "{name}: {seen}");
    }
    assert!(seen["calls"].as_u64() >= Some(most), "{seen}");
    assert_eq!(
        (&seen["clients"], &seen["instances"]),
        (&json!(2), &json!(1)),
        "the command line is no client"
    );
    drop((client, late));
    let held =
        ["clients", "in_flight", "waiting", "gatherings", "owed", "subscriptions", "asked", "queued_bytes"];
    eventually("nothing is held", LIMIT, || {
        let seen = counters();
        held.iter().all(|name| seen[name] == json!(0))
    });
    let said = instance.ends(0, &["status", "-v"]);
    assert!(said.contains("message_bytes") && said.contains("server_crashes"), "{said}");
    assert!(!instance.ends(0, &["status"]).contains("message_bytes"));
}
