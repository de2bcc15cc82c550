//! Requests that clients have cancelled.

use std::time::Duration;

use exai_mux::{ClientId, Endpoint, Event};

use crate::support::{Bench, initialize, only, policy};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":5}}}"#;
const CANCEL: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#;

/// The number of requests of the oldest client that the router counts as in flight.
fn in_flight(bench: &Bench) -> u32 {
    bench.router.clients()[0].in_flight
}

/// Two clients of one ready instance. The first client has called a tool and cancelled the call.
fn cancelled() -> Bench {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.introduced(2, "a", "{}");
    bench.says(1, CALL);
    assert_eq!(in_flight(&bench), 1);
    assert_eq!(only(&bench.says(1, CANCEL), "server 0")["params"]["requestId"], 2);
    assert_eq!(in_flight(&bench), 0);
    assert!(!bench.router.is_busy());
    bench
}

#[test]
fn a_request_that_waits_here_is_dropped_when_it_is_cancelled() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(1, Endpoint::All);
    bench.says(1, &initialize("{}"));
    bench.says(1, r#"{"jsonrpc":"2.0","id":5,"method":"tools/list"}"#);
    assert_eq!(in_flight(&bench), 1, "it waits for the lists");
    assert_eq!(bench.says(1, CANCEL), ["dropped 1 5"]);
    assert_eq!((in_flight(&bench), bench.router.is_busy()), (0, false));
    bench.says(1, &CALL.replace("\"t\"", "\"a__t\""));
    assert_eq!(in_flight(&bench), 1, "it waits for the server to start");
    assert_eq!(bench.says(1, CANCEL), ["dropped 1 5"]);
    assert_eq!((in_flight(&bench), bench.router.is_busy()), (0, false));
    assert_eq!(bench.says(1, CANCEL), [""; 0]);
}

#[test]
fn a_cancelled_request_counts_no_more_but_what_the_server_answers_passes() {
    let mut bench = cancelled();
    assert_eq!(bench.says(1, CANCEL), [""; 0], "once is enough");
    bench.says(2, CALL);
    let ask = r#"{"jsonrpc":"2.0","id":7,"method":"custom/ask"}"#;
    let refused = only(&bench.server_says(0, ask), "server 0");
    assert_eq!(
        refused["error"]["code"], -32603,
        "it may have been asked before the cancellation was heard of"
    );
    let answer = bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert_eq!(answer, [r#"client 1 <- {"jsonrpc":"2.0","id":5,"result":{}}"#]);
    assert_eq!(in_flight(&bench), 0);
}

#[test]
fn a_cancelled_request_is_forgotten_quietly_after_ten_seconds_whatever_its_progress() {
    let mut bench = cancelled();
    assert_eq!(bench.passes(Duration::from_secs(9)), [""; 0]);
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}}"#;
    assert_eq!(only(&bench.server_says(0, progress), "client 1")["params"]["progressToken"], 5);
    assert_eq!(bench.passes(Duration::from_secs(2)), ["dropped 1 5"]);
    assert_eq!(bench.server_says(0, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), [""; 0]);
    assert_eq!(in_flight(&bench), 0);
}

#[test]
fn a_crash_is_no_news_to_who_cancelled() {
    assert_eq!(cancelled().down(0, "exited"), ["dropped 1 5"]);
}

#[test]
fn what_a_client_leaves_behind_keeps_its_place_at_the_server_for_ten_seconds() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, CALL);
    let told = bench.does(Event::Closed { client: ClientId(1) });
    assert_eq!(only(&told, "server 0")["params"]["reason"], "the client has disconnected");
    assert_eq!(bench.router.counts().in_flight, 1);
    assert_eq!(bench.passes(Duration::from_secs(11)), [""; 0], "the server was told");
    assert_eq!(bench.router.counts().in_flight, 0, "well before calls time out");
}

#[test]
fn a_request_is_given_up_when_its_time_is_over_and_not_a_tick_later() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, CALL);
    let due = |bench: &Bench| bench.router.next_tick(bench.now).expect("it waits") - bench.now;
    let tick = due(&bench);
    assert_eq!(bench.passes(Duration::from_mins(1).saturating_sub(tick / 2)), [""; 0]);
    assert_eq!(due(&bench), tick / 2);
    assert_eq!(only(&bench.passes(tick / 2), "client 1")["error"]["code"], -31004);
    assert!(bench.router.next_tick(bench.now).is_none_or(|next| next > bench.now), "no tick follows at once");
}

#[test]
fn what_clients_leave_behind_takes_up_nobodys_turn_after_ten_seconds() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    for client in 2..=66 {
        bench.introduced(client, "a", "{}");
        bench.says(client, CALL);
        let told = bench.does(Event::Closed { client: ClientId(client) });
        assert_eq!(only(&told, "server 0")["method"], "notifications/cancelled");
    }
    let works_on = |bench: &Bench| bench.router.counts().in_flight;
    assert_eq!(works_on(&bench), 65);
    // Each close has already told the server that no client waits, so the router sends nothing more.
    assert_eq!(bench.passes(Duration::from_secs(30)), [""; 0]);
    assert_eq!(works_on(&bench), 0);
    for number in 0..64 {
        let sent = bench.says(1, &CALL.replace(r#""id":5"#, &format!(r#""id":{number}"#)));
        assert_eq!(sent.len(), 1, "the server has room for call {number}");
    }
}
