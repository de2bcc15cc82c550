//! Servers that are changed or removed while they work: no request is lost.

use std::time::Duration;

use exai_mux::policy::Policy;
use exai_mux::{ClientId, Endpoint, Event};

use crate::support::{Bench, initialize, only, policy};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p"}}}"#;

fn changed() -> Event {
    Event::Configured { policies: vec![Policy { revision: 2, ..policy("a") }] }
}

/// A router whose client 1, on the endpoint of server a, has a call under way at instance 0.
fn at_work() -> Bench {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", r#"{"sampling":{}}"#);
    bench.ready(0);
    bench.says(1, CALL);
    bench
}

#[test]
fn what_is_under_way_is_finished_by_the_old_one_and_what_comes_then_goes_to_the_new_one() {
    let mut bench = at_work();
    let lines = bench.does(changed());
    assert_eq!(only(&lines, "client 1")["method"], "notifications/tools/list_changed");
    assert_eq!(lines.len(), 1, "nothing is stopped: {lines:?}");
    assert_eq!(bench.says(1, &CALL.replace('5', "6")), ["start a#2 as 1"]);
    assert!(bench.router.servers(bench.now)[0].instances[0].retiring);
    // The old instance may still ask questions and send notifications.
    let ask = r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{}}"#;
    let asked = only(&bench.server_says(0, ask), "client 1");
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, asked["id"]);
    assert_eq!(only(&bench.says(1, &answer), "server 0")["id"], "s");
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}}"#;
    assert_eq!(only(&bench.server_says(0, progress), "client 1")["params"]["progressToken"], "p");
    bench.ready(1);
    let lines = bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{"of":"old"}}"#);
    assert_eq!(only(&lines[..1], "client 1")["result"]["of"], "old");
    assert_eq!(lines[1..], ["stop 0"]);
    let lines = bench.server_says(1, r#"{"jsonrpc":"2.0","id":2,"result":{"of":"new"}}"#);
    assert_eq!((&only(&lines, "client 1")["id"], lines.len()), (&6.into(), 1));
    // An instance that was stopped on purpose does not count as crashed.
    bench.down(0, "was stopped");
    assert_eq!(bench.says(1, CALL).len(), 1);
}

#[test]
fn an_idle_one_is_replaced_at_once() {
    let mut bench = at_work();
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert_eq!(bench.does(changed())[0], "stop 0");
}

#[test]
fn cancelling_leaving_and_running_late_end_it_as_well() {
    let mut bench = at_work();
    bench.does(changed());
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#;
    assert_eq!(only(&bench.says(1, cancel), "server 0")["params"]["requestId"], 2);
    assert!(bench.passes(Duration::from_millis(250)).contains(&"stop 0".to_owned()));

    let mut bench = at_work();
    bench.does(changed());
    let lines = bench.does(Event::Closed { client: ClientId(1) });
    assert_eq!(only(&lines, "server 0")["method"], "notifications/cancelled");
    assert!(bench.passes(Duration::from_millis(250)).contains(&"stop 0".to_owned()));

    let mut bench = at_work();
    bench.does(changed());
    let lines = bench.passes(Duration::from_mins(2));
    assert_eq!(only(&lines, "client 1")["error"]["code"], -31004);
    let more = bench.passes(Duration::from_millis(250));
    assert!(lines.iter().chain(&more).any(|line| line == "stop 0"), "{lines:?} {more:?}");
    assert_eq!(bench.router.next_tick(bench.now), None);
}

#[test]
fn a_crash_of_the_old_one_is_told_to_its_caller_and_counts_for_nothing() {
    let mut bench = at_work();
    bench.does(Event::Configured { policies: vec![Policy { revision: 2, crash_limit: 1, ..policy("a") }] });
    assert_eq!(only(&bench.down(0, "was killed"), "client 1")["error"]["code"], -31005);
    assert_eq!(bench.says(1, CALL), ["start a#2 as 1"]);
}

#[test]
fn what_waited_for_the_old_one_to_start_goes_to_the_new_one() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.open(2, Endpoint::One("a".into()));
    bench.says(2, &initialize("{}"));
    bench.says(2, CALL);
    assert_eq!(bench.does(changed()), ["stop 0", "start a#2 as 1"]);
    let lines = bench.ready(1);
    assert_eq!(only(&lines, "client 1")["id"], 0);
    assert_eq!(only(&lines[2..], "server 1")["params"]["name"], "t");
    bench.server_says(1, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert!(!bench.router.is_busy());
}

#[test]
fn a_removed_server_finishes_what_it_has_begun() {
    let mut bench = at_work();
    assert_eq!(bench.does(Event::Configured { policies: vec![policy("b")] }).len(), 1);
    assert_eq!(only(&bench.says(1, &CALL.replace('5', "6")), "client 1")["error"]["code"], -31006);
    let lines = bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert_eq!((&only(&lines[..1], "client 1")["id"], &*lines[1]), (&5.into(), "stop 0"));
}

#[test]
fn one_that_has_a_port_makes_room_at_once() {
    let mut bench = Bench::new(vec![Policy { one_at_a_time: true, ..policy("a") }]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, CALL);
    let lines = bench.does(changed());
    assert_eq!(lines[1], "stop 0");
    assert_eq!(only(&lines[..1], "client 1")["error"]["code"], -31005);
}
