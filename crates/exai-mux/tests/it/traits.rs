//! The observed behaviour of a server decides which clients share a process and which clients get their own.

use std::time::Duration;

use exai_mux::behaviour::{ClientCapability, ObservedBehaviour};
use exai_mux::policy::{Policy, Share};
use exai_mux::{ClientId, Event};

use crate::support::{Bench, initialize, only, policy};

const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#;
const ASK: &str = r#"{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{}}"#;
const SAMPLING: &str = r#"{"sampling":{}}"#;

fn tools(instance: u64, number: u64, bench: &mut Bench, tool: &str) {
    let result = format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{"tools":[{{"name":"{tool}"}}]}}}}"#);
    bench.server_says(instance, &result);
}

/// Two clients with different capabilities have listed the tools of a server, each in a process of its own.
fn listed(of_second: &str) -> Bench {
    let mut bench = Bench::new(vec![policy("a")]);
    for (client, can, tool) in [(1, "{}", "x"), (2, SAMPLING, of_second)] {
        let instance = client - 1;
        bench.introduced(client, "a", can);
        bench.ready(instance);
        bench.says(client, LIST);
        tools(instance, 2, &mut bench, tool);
    }
    bench
}

/// A while later, the instance of client 2 has worked on a call without asking for anything.
fn silent(bench: &mut Bench) {
    bench.now += Duration::from_secs(5);
    bench.says(2, CALL);
    bench.server_says(1, r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
}

#[test]
fn where_all_see_the_same_and_nothing_is_asked_all_share_from_then_on() {
    let mut bench = listed("x");
    assert!(bench.measured && bench.router.observed_behaviour("a").expect("measured").1.same_for_all);
    assert!(
        bench.introduced(3, "a", r#"{"roots":{}}"#).contains(&"start a#3 as 2".to_owned()),
        "it may ask yet"
    );
    bench.does(Event::Closed { client: ClientId(3) });
    silent(&mut bench);
    let lines = bench.introduced(3, "a", SAMPLING);
    assert_eq!(lines.len(), 1, "its answer, and no start: {lines:?}");
    assert_eq!(bench.router.servers(bench.now)[0].instances[0].clients, [ClientId(1), ClientId(3)]);
    // The router knows nothing about a capability that no client has declared to the server.
    assert!(bench.introduced(4, "a", r#"{"sampling":{"tools":{}}}"#).contains(&"start a#4 as 3".to_owned()));
    // When the first instance is gone, its clients use the second one too.
    bench.does(Event::Closed { client: ClientId(1) });
    bench.down(0, "was killed");
    assert_eq!(bench.introduced(5, "a", "{}").len(), 1);
    assert_eq!(bench.router.servers(bench.now)[0].instances[0].clients, [ClientId(2), ClientId(5)]);
    // A client that has a process keeps it, even when the client sends `initialize` again.
    assert_eq!(bench.says(5, &initialize("{}")).len(), 1);
    let why = bench.router.explain_sharing("a").expect("it is configured");
    assert!(why[0].contains("told of sampling; such clients share one process"), "{why:?}");
    assert_eq!(why[1], "a#2 is used by c2 (c), c5 (c)");
    // The next daemon declares sampling to the first instance, so that a question of the server would show.
    let (_, traits) = bench.router.observed_behaviour("a").expect("measured");
    let mut bench = Bench::new(vec![policy("a")]);
    bench.does(Event::BehaviourKnown { server: "a".into(), behaviour: traits, eras: Vec::new() });
    bench.introduced(1, "a", "{}");
    assert_eq!(only(&bench.up(0), "server 0")["params"]["capabilities"].to_string(), SAMPLING);
}

#[test]
fn where_it_matters_they_stay_apart() {
    let mut bench = listed("y");
    silent(&mut bench);
    assert!(bench.introduced(3, "a", r#"{"roots":{}}"#).contains(&"start a#3 as 2".to_owned()));
    let why = bench.router.explain_sharing("a").expect("it is configured");
    assert_eq!(why[1], "a#1 is used by c1 (c): they declare nothing that a server could use");
    assert_eq!(why[2], r#"a#2 is used by c2 (c): they declare {"sampling":{}}"#);
}

#[test]
fn a_server_that_asks_gets_each_who_can_be_asked_alone() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", SAMPLING);
    bench.ready(0);
    bench.says(1, CALL);
    assert_eq!(only(&bench.server_says(0, ASK), "client 1")["method"], "sampling/createMessage");
    assert!(bench.measured);
    assert_eq!(
        bench.router.observed_behaviour("a").expect("measured").1.asks.iter().collect::<Vec<_>>(),
        [&ClientCapability::Sampling]
    );
    assert!(bench.introduced(2, "a", SAMPLING).contains(&"start a#2 as 1".to_owned()));
    assert!(bench.introduced(3, "a", SAMPLING).contains(&"start a#3 as 2".to_owned()));
    // Clients that cannot be asked share an instance.
    assert!(bench.introduced(4, "a", "{}").contains(&"start a#4 as 3".to_owned()));
    assert_eq!(bench.introduced(5, "a", "{}").len(), 1);
    // The instance of a single client ends when the client leaves.
    bench.ready(2);
    bench.does(Event::Closed { client: ClientId(3) });
    assert_eq!(bench.passes(Duration::from_millis(250)), ["stop 2"]);
    let why = bench.router.explain_sharing("a").expect("it is configured");
    assert!(why[0].contains("it was seen to ask for sampling"), "{why:?}");
    assert_eq!(why[2], "a#2 is c2 (c)'s own: the server asks for sampling, and this client can be asked");
}

#[test]
fn who_shares_when_a_server_begins_to_ask_waits_for_the_others_and_is_asked_then() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", SAMPLING);
    bench.ready(0);
    bench.introduced(2, "a", SAMPLING);
    bench.says(1, CALL);
    bench.says(2, CALL);
    assert_eq!(only(&bench.server_says(0, ASK), "server 0")["error"]["code"], -32603, "never a guess");
    for number in [2, 3] {
        bench.server_says(0, &format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#));
    }
    assert_eq!(bench.says(1, CALL).len(), 1);
    assert_eq!(bench.says(2, CALL), [""; 0], "it waits");
    assert_eq!(only(&bench.server_says(0, ASK), "client 1")["method"], "sampling/createMessage");
    let why = bench.router.explain_sharing("a").expect("it is configured").join("\n");
    assert!(why.contains("one client at a time"), "{why}");
    let lines = bench.server_says(0, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#);
    assert_eq!(lines.len(), 2, "its answer, and the call of the other");
    assert_eq!(only(&bench.server_says(0, ASK), "client 2")["method"], "sampling/createMessage");
}

#[test]
fn who_cannot_be_asked_is_not() {
    let mut bench = listed("x");
    silent(&mut bench);
    bench.says(1, CALL);
    let refused = only(&bench.server_says(0, ASK), "server 0");
    assert_eq!(refused["error"]["code"], -32601, "client 1 has never offered it");
    assert!(bench.introduced(3, "a", SAMPLING).contains(&"start a#3 as 2".to_owned()), "it asks after all");
}

#[test]
fn what_was_measured_before_counts_and_another_revision_forgets_it() {
    let traits = ObservedBehaviour {
        asks: [ClientCapability::Roots].into(),
        same_for_all: true,
        ..ObservedBehaviour::default()
    };
    let mut bench = Bench::new(vec![policy("a")]);
    bench.does(Event::BehaviourKnown { server: "a".into(), behaviour: traits.clone(), eras: Vec::new() });
    bench.introduced(1, "a", r#"{"roots":{}}"#);
    assert!(bench.introduced(2, "a", r#"{"roots":{}}"#).contains(&"start a#2 as 1".to_owned()));
    assert_eq!(bench.router.observed_behaviour("a"), Some((1, traits)));
    bench.does(Event::Configured { policies: vec![Policy { revision: 2, ..policy("a") }] });
    assert_eq!(bench.router.observed_behaviour("a"), Some((2, ObservedBehaviour::default())));
}

#[test]
fn the_reasons_of_a_policy_are_the_policys() {
    let mut bench = Bench::new(vec![
        Policy { share: Share::Client, ..policy("own") },
        Policy { share: Share::Shared, ..policy("all") },
        Policy { one_at_a_time: true, share: Share::Shared, ..policy("port") },
    ]);
    let first =
        |bench: &Bench, name| bench.router.explain_sharing(name).expect("it is configured")[0].clone();
    assert!(first(&bench, "own").contains("each client has a process of its own"));
    assert!(first(&bench, "all").contains("one process serves all clients"));
    assert!(first(&bench, "port").contains("a port of its own"));
    assert_eq!(
        bench.router.explain_sharing("own").expect("it is configured")[1],
        "it does not run; the next call starts it"
    );
    assert_eq!(bench.router.explain_sharing("none"), None);
    bench.introduced(1, "own", "{}");
    assert_eq!(bench.router.explain_sharing("own").expect("it is configured")[1], "own#1 is c1 (c)'s own");
    bench.passes(Duration::ZERO);
}

#[test]
fn a_question_that_crosses_a_cancellation_is_asked_of_nobody_else() {
    let mut bench = Bench::new(vec![policy("a")]);
    for client in [1, 2] {
        bench.introduced(client, "a", SAMPLING);
    }
    bench.ready(0);
    bench.says(1, CALL);
    bench.says(2, CALL);
    bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    assert_eq!(
        only(&bench.server_says(0, ASK), "server 0")["error"]["code"],
        -32603,
        "it may be meant for client 1"
    );
    // The same must hold when the client that the server may have meant has left.
    let mut bench = Bench::new(vec![policy("a")]);
    for client in [1, 2] {
        bench.introduced(client, "a", SAMPLING);
    }
    bench.ready(0);
    bench.says(1, CALL);
    bench.does(Event::Closed { client: ClientId(1) });
    assert_eq!(only(&bench.server_says(0, ASK), "server 0")["error"]["code"], -32603);
}

#[test]
fn of_an_eager_server_only_the_run_for_nobody_in_particular_stays() {
    let traits =
        ObservedBehaviour { asks: [ClientCapability::Sampling].into(), ..ObservedBehaviour::default() };
    let mut bench = Bench::new(Vec::new());
    bench.does(Event::Configured { policies: vec![Policy { eager: true, ..policy("a") }] });
    bench.ready(0);
    bench.does(Event::BehaviourKnown { server: "a".into(), behaviour: traits, eras: Vec::new() });
    bench.introduced(1, "a", SAMPLING);
    bench.ready(1);
    bench.does(Event::Closed { client: ClientId(1) });
    assert_eq!(bench.passes(Duration::from_millis(250)), ["stop 1"]);
    assert_eq!(bench.passes(Duration::from_hours(1)), [""; 0]);
}
