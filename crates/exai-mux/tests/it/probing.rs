//! Servers that are asked for their era: what becomes of their clients, and of servers that answer with nothing good.

use std::time::Duration;

use exai_mux::behaviour::ObservedBehaviour;
use exai_mux::policy::{Policy, Share};
use exai_mux::view::HealthView;
use exai_mux::{Discovery, Endpoint, Era, EraVerdict, Event};
use serde_json::{Value, json};

use crate::eras::{discover_result, error, legacy_result, modern, number, request, result, unknown};
use crate::support::{Bench, initialize, only, server_result};

const LIST_CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// A router with a server that is known of an earlier run, except for its eras, and client 1 that was answered from
/// memory. Instance 0 is starting.
fn answered_from_memory(policy: Policy) -> Bench {
    let mut bench = Bench::new(vec![policy]);
    let discovery = Discovery { era: Era::Legacy, introduction: server_result().into(), lists: Vec::new() };
    bench.does(Event::DiscoveryKnown { server: "a".into(), revision: 1, discovery });
    let lines = bench.introduced(1, "a", "{}");
    assert_eq!(only(&lines, "client 1")["result"]["serverInfo"]["name"], "real");
    assert!(lines.contains(&"start a#1 as 0".to_owned()), "{lines:?}");
    bench
}

/// Brings up an instance that refuses `server/discover` and answers `initialize`.
fn becomes_legacy(bench: &mut Bench, instance: u64) -> Vec<String> {
    let server = format!("server {instance}");
    let asked = bench.up(instance);
    let sent = bench.server_says(instance, &error(number(&asked, &server), -32601));
    bench.server_says(instance, &result(number(&sent, &server), &legacy_result()))
}

/// The refusal of a server that says that it speaks the modern era.
fn wants_modern(id: u64) -> String {
    let data = json!({"supported": ["2026-07-28"], "requested": "2025-11-25"});
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32022, "message": "no", "data": data}}).to_string()
}

fn clients(bench: &Bench, instance: usize) -> Value {
    let clients = &bench.router.servers(bench.now)[0].instances[instance].clients;
    clients.iter().map(|client| client.0).collect()
}

#[test]
fn a_client_that_was_answered_from_memory_goes_on_hearing_of_a_server_that_was_asked() {
    let mut bench = answered_from_memory(unknown("a"));
    let lines = becomes_legacy(&mut bench, 0);
    assert!(!lines.iter().any(|line| line.starts_with("start") || line.starts_with("stop")), "{lines:?}");
    assert_eq!(clients(&bench, 0), json!([1]));
    assert_eq!(
        only(&bench.server_says(0, LIST_CHANGED), "client 1")["method"],
        "notifications/tools/list_changed"
    );
}

#[test]
fn the_process_of_one_client_outlives_the_question_for_its_era() {
    let mut bench = answered_from_memory(Policy { share: Share::Client, ..unknown("a") });
    becomes_legacy(&mut bench, 0);
    assert_eq!(bench.lives(Duration::from_secs(1)), [""; 0]);
    assert_eq!(clients(&bench, 0), json!([1]));
}

/// Brings the second process up, in the legacy era: the client hears what it says.
fn client_hears_of_the_next_process(bench: &mut Bench) {
    let sent = bench.up(1);
    bench.server_says(1, &result(number(&sent, "server 1"), &legacy_result()));
    assert_eq!(
        only(&bench.server_says(1, LIST_CHANGED), "client 1")["method"],
        "notifications/tools/list_changed"
    );
}

#[test]
fn a_client_that_was_answered_from_memory_follows_to_the_next_process() {
    let mut bench = answered_from_memory(unknown("a"));
    bench.up(0);
    assert_eq!(bench.down(0, "exited with status 1"), ["stop 0", "start a#2 as 1"]);
    client_hears_of_the_next_process(&mut bench);
}

#[test]
fn a_client_that_was_answered_from_memory_follows_to_the_other_era() {
    let mut bench = answered_from_memory(unknown("a"));
    let asked = bench.up(0);
    let lines = bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    assert!(lines.contains(&"start a#2 as 1".to_owned()), "{lines:?}");
    client_hears_of_the_next_process(&mut bench);
}

#[test]
fn that_a_server_does_not_speak_the_modern_era_is_believed_for_a_week_whatever_daemon_has_learned_it() {
    let day = Duration::from_hours(24);
    for (age, waited, method) in [
        (6 * day, Duration::ZERO, "initialize"),
        (6 * day, day, "server/discover"),
        (7 * day, Duration::ZERO, "server/discover"),
        (Duration::MAX, Duration::ZERO, "server/discover"),
    ] {
        let mut bench = Bench::new(vec![unknown("a")]);
        let eras = vec![(Era::Modern, EraVerdict { speaks: false, why: "x".into() }, age)];
        bench.does(Event::BehaviourKnown {
            server: "a".into(),
            behaviour: ObservedBehaviour::default(),
            eras,
        });
        bench.now += waited;
        bench.introduced(1, "a", "{}");
        assert_eq!(only(&bench.up(0), "server 0")["method"], method, "{age:?}, {waited:?}");
    }
}

#[test]
fn a_modern_process_stays_that_a_client_of_all_servers_waits_for() {
    let mut bench = Bench::new(vec![unknown("a")]);
    let speaks = || EraVerdict { speaks: true, why: "x".into() };
    let eras = [Era::Modern, Era::Legacy].map(|era| (era, speaks(), Duration::ZERO)).to_vec();
    bench.does(Event::BehaviourKnown { server: "a".into(), behaviour: ObservedBehaviour::default(), eras });
    bench.open(1, Endpoint::All);
    assert_eq!(bench.says(1, &request(4, "tools/list", "")), ["start a#1 as 0"]);
    bench.introduced(2, "a", "{}");
    let asked = bench.up(0);
    let lines = bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
    let list = only(&lines[..2], "server 0");
    assert_eq!(list["method"], "tools/list");
    let sent = bench.up(1);
    let lines = bench.server_says(1, &result(number(&sent, "server 1"), &legacy_result()));
    assert!(!lines.contains(&"stop 0".to_owned()), "{lines:?}");
    let tools = json!({"resultType": "complete", "tools": [{"name": "t"}]});
    let told =
        only(&bench.server_says(0, &result(list["id"].as_u64().expect("a number"), &tools)), "client 1");
    assert_eq!(told["result"]["tools"][0]["name"], "a__t");
}

#[test]
fn a_server_that_refuses_initialize_is_asked_for_its_era_again_the_next_time() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", "{}");
    bench.up(0);
    assert_eq!(bench.down(0, "exited with status 1"), ["stop 0", "start a#2 as 1"]);
    let sent = bench.up(1);
    assert_eq!(only(&sent, "server 1")["method"], "initialize");
    // It speaks the modern era alone, and does not say so.
    let lines = bench.server_says(1, &error(number(&sent, "server 1"), -32601));
    assert!(lines[0].starts_with("give up 1: did not accept `initialize`"), "{lines:?}");
    bench.down(1, "did not accept `initialize`");
    bench.passes(Duration::from_secs(5));
    assert_eq!(bench.says(1, &initialize("{}")), ["start a#3 as 2"]);
    assert_eq!(only(&bench.up(2), "server 2")["method"], "server/discover");
}

#[test]
fn a_restart_by_hand_asks_for_the_era_again() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", "{}");
    bench.up(0);
    bench.down(0, "exited with status 1");
    bench.does(Event::Restart { server: "a".into() });
    assert_eq!(bench.says(1, &initialize("{}")), ["start a#3 as 2"]);
    assert_eq!(only(&bench.up(2), "server 2")["method"], "server/discover");
}

#[test]
fn an_end_over_the_question_is_believed_for_a_week_and_not_for_ever() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", "{}");
    bench.up(0);
    bench.down(0, "exited with status 1");
    bench.ready(1);
    let asked_next = |bench: &mut Bench, instance: u64| {
        bench.does(Event::Restart { server: "a".into() });
        bench.says(1, &initialize("{}"));
        only(&bench.up(instance), &format!("server {instance}"))["method"].clone()
    };
    assert_eq!(asked_next(&mut bench, 2), "initialize", "what was seen is a verdict");
    bench.passes(Duration::from_hours(8 * 24));
    assert_eq!(asked_next(&mut bench, 3), "server/discover");
}

#[test]
fn a_server_that_may_not_end_at_all_survives_the_question_for_its_era() {
    let mut bench = Bench::new(vec![Policy { crash_limit: 1, ..unknown("a") }]);
    bench.introduced(1, "a", "{}");
    bench.up(0);
    assert_eq!(bench.down(0, "exited with status 1"), ["stop 0", "start a#2 as 1"]);
    let lines = bench.ready(1);
    assert_eq!(only(&lines, "client 1")["result"]["serverInfo"]["name"], "real");
}

#[test]
fn a_server_that_ends_whatever_it_is_asked_is_started_as_often_as_any_other() {
    for (limit, starts) in [(1, 2), (2, 2), (3, 3), (5, 5)] {
        let mut bench = Bench::new(vec![Policy { crash_limit: limit, ..unknown("a") }]);
        bench.introduced(1, "a", "{}");
        let mut started = 1;
        while started < 10 {
            bench.up(started - 1);
            let mut lines = bench.down(started - 1, "exited with status 1");
            bench.passes(Duration::from_secs(8));
            lines.extend(bench.says(1, &initialize("{}")));
            if !lines.iter().any(|line| line.starts_with("start ")) {
                break;
            }
            started += 1;
        }
        assert_eq!(started, starts, "of at most {limit}");
        assert!(matches!(&bench.router.servers(bench.now)[0].health, HealthView::Failed(_)));
    }
}

#[test]
fn a_server_that_refuses_both_eras_is_given_up_at_once() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", "{}");
    let asked = bench.up(0);
    // It names the era whose question it has just refused.
    let sent = bench.server_says(0, &wants_modern(number(&asked, "server 0")));
    assert_eq!(only(&sent, "server 0")["method"], "initialize");
    let lines = bench.server_says(0, &wants_modern(number(&sent, "server 0")));
    assert!(lines[0].starts_with("give up 0: did not accept `initialize`"), "{lines:?}");

    // The next time it is asked the other way round.
    bench.down(0, "did not accept `initialize`");
    bench.passes(Duration::from_secs(5));
    assert_eq!(bench.says(1, &initialize("{}")), ["start a#2 as 1"]);
    let sent = bench.up(1);
    let asked = bench.server_says(1, &wants_modern(number(&sent, "server 1")));
    assert_eq!(only(&asked, "server 1")["method"], "server/discover");
    let lines = bench.server_says(1, &wants_modern(number(&asked, "server 1")));
    assert!(lines[0].starts_with("give up 1: did not accept `initialize`"), "{lines:?}");
}

#[test]
fn a_slow_server_that_refuses_both_eras_is_not_waited_for() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", "{}");
    let asked = bench.up(0);
    let sent = bench.lives(Duration::from_secs(3));
    let refusal = json!({"jsonrpc": "2.0", "id": number(&sent, "server 0"), "error": {"code": -32603, "message": "no licence"}});
    assert_eq!(bench.server_says(0, &refusal.to_string()), [""; 0]);
    let lines = bench.server_says(0, &error(number(&asked, "server 0"), -32601));
    assert!(lines[0].starts_with("give up 0: did not accept `initialize`"), "{lines:?}");
    assert!(lines[0].contains("no licence"), "{lines:?}");
}

#[test]
fn a_slow_server_of_the_modern_era_alone_is_served() {
    for missed_the_question in [false, true] {
        let mut bench = Bench::new(vec![unknown("a")]);
        bench.introduced(1, "a", "{}");
        let asked = bench.up(0);
        let sent = bench.lives(Duration::from_secs(3));
        let again = bench.server_says(0, &wants_modern(number(&sent, "server 0")));
        let asked = if missed_the_question { again } else { asked };
        let lines = bench.server_says(0, &result(number(&asked, "server 0"), &discover_result()));
        assert_eq!(only(&lines, "client 1")["result"]["instructions"], "be modern");
    }
}

#[test]
fn a_question_of_a_process_that_is_replaced_is_withdrawn() {
    let mut bench = Bench::new(vec![unknown("a")]);
    bench.introduced(1, "a", r#"{"elicitation":{}}"#);
    bench.up(0);
    let question = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#;
    let asked = only(&bench.server_says(0, question), "client 1");
    let lines = bench.down(0, "exited with status 1");
    assert!(lines.contains(&"start a#2 as 1".to_owned()), "{lines:?}");
    let told = only(&lines, "client 1");
    assert_eq!(
        (&told["method"], &told["params"]["requestId"]),
        (&json!("notifications/cancelled"), &asked["id"])
    );
}

#[test]
fn a_modern_server_that_starts_slowly_is_waited_for() {
    for (policy, waits) in [(modern("a"), true), (unknown("a"), false)] {
        let mut bench = Bench::new(vec![policy]);
        bench.open(1, Endpoint::One("a".into()));
        bench.says(1, &request(1, "server/discover", ""));
        bench.up(0);
        let told = bench.lives(Duration::from_secs(5));
        assert_eq!(told.iter().any(|line| line.starts_with("client 1 <- ")), !waits, "{told:?}");
    }
}
