//! Everything that ends: crashed servers, failed starts, clients that leave, idle instances, changed configurations.

use std::time::Duration;

use exai_mux::{ClientId, Endpoint, Event, Unsent};

use crate::eras::modern;
use crate::support::{Bench, initialize, only, policy};

const CALL: &str = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#;

#[test]
fn a_crash_is_told_to_exactly_the_callers_and_the_next_request_starts_anew() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "a", "{}");
    bench.says(1, CALL);
    let lines = bench.down(0, "exited with status 3");
    let error = &only(&lines, "client 1")["error"];
    assert_eq!((&error["code"], &error["data"]["kind"]), (&(-31005).into(), &"server_crashed".into()));
    assert_eq!((&error["data"]["stderrTail"], &error["data"]["tool"]), (&"tail".into(), &"t".into()));
    assert_eq!(lines.len(), 1);
    assert_eq!(bench.says(2, CALL), ["start a#2 as 1"]);
    let lines = bench.ready(1);
    assert_eq!(lines.len(), 3, "initialized, ready, and the call that waited: {lines:?}");
    assert_eq!(
        bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#),
        [""; 0],
        "the old run is over"
    );
    let answer = only(&bench.server_says(1, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), "client 2");
    assert_eq!(answer["id"], 5);
}

#[test]
fn a_server_that_cannot_start_is_not_tried_again_at_once() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    let error = &only(&bench.down(0, "could not be started: no such file"), "client 1")["error"];
    assert_eq!((&error["code"], &error["data"]["retrySafe"]), (&(-31006).into(), &true.into()));
    let again = only(&bench.says(1, &initialize("{}")), "client 1");
    assert_eq!(again["error"]["code"], -31006);
    bench.passes(Duration::from_secs(1));
    assert_eq!(bench.says(1, &initialize("{}")), ["start a#2 as 1"]);
}

#[test]
fn a_server_that_never_answers_the_first_request_is_given_up() {
    for (policy, asked) in [(policy("a"), "initialize"), (modern("a"), "server/discover")] {
        let mut bench = Bench::new(vec![policy]);
        bench.introduced(1, "a", "{}");
        bench.up(0);
        let given_up = format!("give up 0: did not answer `{asked}` within 20 s");
        assert_eq!(bench.passes(Duration::from_secs(21)), [given_up]);
        assert_eq!(only(&bench.down(0, "did not answer"), "client 1")["error"]["code"], -31006);
    }
}

#[test]
fn a_client_that_leaves_has_its_requests_cancelled_and_the_idle_server_is_stopped_later() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, CALL);
    let lines = bench.does(Event::Closed { client: ClientId(1) });
    assert_eq!(only(&lines, "server 0")["params"]["requestId"], 2);
    assert_eq!(bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), [""; 0]);
    assert_eq!(bench.passes(Duration::from_secs(89)), [""; 0]);
    assert_eq!(bench.passes(Duration::from_secs(2)), ["stop 0"]);
    let lines = bench.introduced(2, "a", "{}");
    assert_eq!(lines[0], "start a#2 as 1");
    assert_eq!(only(&lines, "client 2")["id"], 0, "it is known what the server says");
}

#[test]
fn a_changed_server_is_stopped_the_others_are_not() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "b", "{}");
    bench.ready(1);
    let changed = exai_mux::policy::Policy { revision: 2, ..policy("a") };
    let lines = bench.does(Event::Configured { policies: vec![changed, policy("b")] });
    assert_eq!(lines[0], "stop 0");
    assert_eq!(only(&lines, "client 1")["method"], "notifications/tools/list_changed");
    assert_eq!(bench.says(2, CALL).len(), 1);
    assert_eq!(bench.says(1, CALL), ["start a#2 as 2"]);
}

#[test]
fn an_unknown_server_is_said_to_be_one_and_the_known_are_named() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    bench.open(1, Endpoint::One("x".into()));
    let error = &only(&bench.says(1, &initialize("{}")), "client 1")["error"];
    assert_eq!(error["code"], -31006);
    assert!(error["message"].as_str().is_some_and(|text| text.contains("a, b")), "{error}");
    bench.event(Event::Configured { policies: vec![policy("x")] });
    assert_eq!(bench.says(1, &initialize("{}")), ["start x#1 as 0"], "until it is configured");
}

#[test]
fn what_cannot_be_sent_is_an_honest_overload() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, CALL);
    let lines = bench.does(Event::Unsent { instance: exai_mux::InstanceId(0), number: 2, why: Unsent::Full });
    let error = &only(&lines, "client 1")["error"];
    assert_eq!((&error["code"], &error["data"]["sent"]), (&(-31003).into(), &false.into()));
}

#[test]
fn no_call_lasts_longer_than_an_hour_whatever_its_timeout_and_its_progress() {
    let call = CALL.replace("\"t\"", "\"t\",\"_meta\":{\"progressToken\":1}");
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    // The call timeout may change while the server runs.
    let patient = exai_mux::policy::Policy { call_timeout: Duration::from_hours(2), ..policy("a") };
    bench.event(Event::Configured { policies: vec![patient] });
    for (number, progresses) in [(2, false), (3, true)] {
        bench.says(1, &call);
        assert_eq!(bench.passes(Duration::from_mins(59)), [""; 0]);
        let progress = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{number},"progress":1}}}}"#
        );
        if progresses {
            assert_eq!(bench.server_says(0, &progress).len(), 1);
        }
        assert_eq!(only(&bench.passes(Duration::from_mins(1)), "client 1")["error"]["code"], -31004);
    }
}

#[test]
fn who_introduces_itself_anew_leaves_the_instance_it_used() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, r#"{"jsonrpc":"2.0","id":4,"method":"resources/subscribe","params":{"uri":"r://x"}}"#);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    bench.says(1, CALL);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":"s","method":"custom/ask"}"#);
    assert_eq!(bench.says(1, &initialize("{}")).len(), 1, "the same again: nothing changes");
    let lines = bench.says(1, &initialize(r#"{"roots":{}}"#));
    let expected = [
        r#"server 0 <- {"jsonrpc":"2.0","id":"s","error":{"code":-32603,"message":"the client that was asked is gone"}}"#,
        r#"server 0 <- {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3,"reason":"the client has introduced itself anew"}}"#,
        r#"server 0 <- {"jsonrpc":"2.0","id":4,"method":"resources/unsubscribe","params":{"uri":"r://x"}}"#,
    ];
    assert_eq!(lines[..3], expected);
    assert_eq!(
        only(&lines[3..4], "client 1")["error"]["code"],
        -31002,
        "nobody may be left without an answer"
    );
    assert_eq!(lines[4], "start a#2 as 1");
    assert_eq!(only(&lines[5..], "client 1")["id"], 0);
    assert!(!bench.router.is_busy());
    // The same must hold while the second instance starts and a call waits for it.
    bench.says(1, CALL);
    let lines = bench.says(1, &initialize(r#"{"sampling":{}}"#));
    assert_eq!(only(&lines[..1], "client 1")["error"]["code"], -31006, "it never got there");
    assert_eq!(lines[1], "start a#3 as 2");
    assert!(!bench.router.is_busy());
    for late in [
        r#"{"jsonrpc":"2.0","id":3,"result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#,
    ] {
        assert_eq!(bench.server_says(0, late), [""; 0]);
    }
    let ask = r#"{"jsonrpc":"2.0","id":"s2","method":"custom/ask"}"#;
    assert_eq!(only(&bench.server_says(0, ask), "server 0")["error"]["code"], -32603);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#);
    let lines = bench.ready(2);
    assert_eq!(only(&lines[1..], "server 2")["method"], "resources/subscribe");
    assert!(bench.passes(Duration::from_secs(91)).contains(&"stop 0".to_owned()));
    assert_eq!(bench.down(1, "exited"), [""; 0]);
}

#[test]
fn who_introduces_itself_anew_on_the_aggregated_endpoint_leaves_what_no_longer_suits_it() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(1, Endpoint::All);
    bench.says(1, &initialize("{}"));
    let call = CALL.replace("\"t\"", "\"a__t\"");
    assert_eq!(bench.says(1, &call), ["start a#1 as 0"]);
    let lines = bench.says(1, &initialize(r#"{"roots":{}}"#));
    assert_eq!((&only(&lines[..1], "client 1")["error"]["code"], lines.len()), (&(-31006).into(), 2));
    assert_eq!(bench.says(1, &call), ["start a#2 as 1"]);
}

#[test]
fn an_eager_server_starts_with_the_configuration_and_stays() {
    let eager = exai_mux::policy::Policy { eager: true, ..policy("a") };
    let mut bench = Bench::new(Vec::new());
    assert_eq!(
        bench.does(Event::Configured { policies: vec![eager.clone(), policy("b")] }),
        ["start a#1 as 0"]
    );
    bench.ready(0);
    assert_eq!(bench.passes(Duration::from_secs(1000)), [""; 0], "it is not stopped for idleness");
    assert_eq!(
        bench.does(Event::Configured { policies: vec![eager, policy("b")] }),
        [""; 0],
        "nor started twice"
    );
    assert_eq!(bench.introduced(1, "a", "{}").len(), 1, "a client without capabilities uses it at once");
}

#[test]
fn at_rest_nothing_is_due_but_the_end_of_what_nobody_uses() {
    let eager = exai_mux::policy::Policy { eager: true, ..policy("a") };
    let idle_stop = policy("b").idle_stop;
    let mut bench = Bench::new(Vec::new());
    bench.does(Event::Configured { policies: vec![eager, policy("b")] });
    bench.ready(0);
    assert_eq!(
        bench.router.next_tick(bench.now),
        None,
        "an eager server without clients stays, and nobody looks"
    );
    bench.introduced(1, "b", "{}");
    bench.ready(1);
    assert_eq!(bench.router.next_tick(bench.now), None, "a client that asks for nothing");
    bench.says(1, CALL);
    let due = |bench: &Bench| bench.router.next_tick(bench.now).map(|at| at - bench.now);
    assert_eq!(due(&bench), Some(policy("b").call_timeout));
    bench.does(Event::Closed { client: ClientId(1) });
    let left = due(&bench).expect("what was asked is still under way");
    assert!(left > Duration::from_secs(1), "{left:?}");
    bench.server_says(1, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert_eq!(due(&bench), Some(idle_stop), "and then its end, to the moment");
}
