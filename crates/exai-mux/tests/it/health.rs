//! Servers that fail again and again, and the clients that wait for them.

use std::time::Duration;

use exai_mux::policy::Policy;
use exai_mux::view::HealthView;
use exai_mux::{Endpoint, Event};

use crate::support::{Bench, initialize, only, policy};

const CALL: &str = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#;
const SUBSCRIBE: &str = r#"{"jsonrpc":"2.0","id":6,"method":"resources/subscribe","params":{"uri":"x://1"}}"#;

fn answer(id: u64, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

#[test]
fn five_crashes_within_a_minute_end_it_and_a_restart_by_hand_forgives() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    for run in 0..5 {
        // A server that has answered a call is started again at once after a crash.
        bench.ready(run);
        bench.says(1, CALL);
        bench.server_says(run, &answer(2, "{}"));
        bench.down(run, "exited with status 3");
        if run < 4 {
            assert_eq!(bench.says(1, CALL), [format!("start a#{} as {}", run + 2, run + 1)]);
        }
        bench.now += Duration::from_secs(1);
    }
    let refused = &only(&bench.says(1, CALL), "client 1")["error"];
    assert_eq!((&refused["code"], &refused["data"]["stderrTail"]), (&(-31006).into(), &"tail".into()));
    let said = refused["message"].as_str().expect("a sentence");
    assert!(said.contains("exited with status 3") && said.contains("exai restart a"), "{said}");
    assert_eq!(bench.passes(Duration::from_hours(1)), [""; 0]);
    assert!(matches!(&bench.router.servers(bench.now)[0].health, HealthView::Failed(_)));
    assert_eq!(only(&bench.says(1, CALL), "client 1")["error"]["code"], -31006, "time alone heals nothing");
    bench.does(Event::Restart { server: "a".into() });
    assert_eq!(bench.says(1, CALL), ["start a#6 as 5"]);
}

#[test]
fn a_changed_configuration_forgives_as_well() {
    let mut bench = Bench::new(vec![Policy { crash_limit: 1, ..policy("a") }]);
    bench.introduced(1, "a", "{}");
    bench.down(0, "could not be started");
    assert!(matches!(&bench.router.servers(bench.now)[0].health, HealthView::Failed(_)));
    bench.does(Event::Configured { policies: vec![Policy { revision: 2, ..policy("a") }] });
    assert_eq!(bench.says(1, &initialize("{}")), ["start a#2 as 1"]);
}

/// Two clients of one server. The first client has subscribed to a resource.
fn one_of_two_subscribes() -> Bench {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.introduced(2, "a", "{}");
    bench.ready(0);
    bench.says(1, SUBSCRIBE);
    bench.server_says(0, &answer(2, "{}"));
    bench
}

#[test]
fn who_only_listens_is_served_again_and_told_that_something_may_have_been_missed() {
    let mut bench = one_of_two_subscribes();
    bench.down(0, "was killed");
    assert_eq!(bench.router.next_tick(bench.now), Some(bench.now), "at once: it was of use");
    assert_eq!(bench.passes(Duration::ZERO), ["start a#2 as 1"]);
    let lines = bench.ready(1);
    assert_eq!(only(&lines[2..], "server 1")["params"]["uri"], "x://1");
    assert_eq!(only(&lines, "client 1")["method"], "notifications/resources/updated");
    assert!(!lines.iter().any(|line| line.starts_with("client 2")), "{lines:?}");
    assert_eq!(bench.passes(Duration::from_secs(1)), [""; 0], "and that is that");
}

#[test]
fn it_is_not_started_for_a_listener_that_has_left_nor_before_its_rest_is_over() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, SUBSCRIBE);
    bench.server_says(0, &answer(2, "{}"));
    bench.down(0, "was killed");
    bench.passes(Duration::ZERO);
    bench.down(1, "could not be started");
    let due = bench.router.next_tick(bench.now).expect("somebody waits") - bench.now;
    assert!((400..=600).contains(&due.as_millis()), "when its rest is over, and not before: {due:?}");
    assert_eq!(bench.passes(due / 2), [""; 0]);
    bench.does(Event::Closed { client: exai_mux::ClientId(1) });
    assert_eq!(bench.passes(Duration::from_secs(10)), [""; 0]);
    assert_eq!(bench.router.next_tick(bench.now), None);
}

#[test]
fn an_eager_server_comes_back_by_itself() {
    let mut bench = Bench::new(Vec::new());
    let policies = vec![Policy { eager: true, ..policy("a") }];
    assert_eq!(bench.does(Event::Configured { policies }), ["start a#1 as 0"]);
    bench.ready(0);
    bench.down(0, "was killed");
    assert_eq!(bench.passes(Duration::ZERO), ["start a#2 as 1"]);
}

#[test]
fn another_list_after_a_crash_is_told_to_those_who_know_the_old_one() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.open(1, Endpoint::All);
    bench.says(1, &initialize("{}"));
    bench.introduced(2, "a", "{}");
    bench.ready(0);
    bench.says(2, r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#);
    bench.server_says(0, &answer(2, r#"{"tools":[{"name":"old"}]}"#));
    let told = |lines: &[String]| {
        let changed = lines.iter().filter(|line| line.contains("notifications/tools/list_changed"));
        changed.map(|line| line[..8].to_owned()).collect::<Vec<_>>()
    };
    for (run, tool, expected) in
        [(1, "old", vec![]), (2, "new", vec!["client 1".to_owned(), "client 2".to_owned()])]
    {
        bench.down(run - 1, "was killed");
        bench.says(2, CALL);
        let lines = bench.ready(run);
        assert!(lines.iter().any(|line| line.contains("tools/list")), "{lines:?}");
        let number = lines.iter().find(|line| line.contains("tools/list")).and_then(|line| {
            let request: serde_json::Value = serde_json::from_str(line.split_once("<- ")?.1).ok()?;
            request["id"].as_u64()
        });
        let list = format!(r#"{{"tools":[{{"name":"{tool}"}}]}}"#);
        assert_eq!(told(&bench.server_says(run, &answer(number.expect("an id"), &list))), expected);
    }
}

#[test]
fn who_waits_for_a_server_that_failed_is_served_when_it_is_changed() {
    let mut bench = Bench::new(vec![Policy { crash_limit: 1, ..policy("a") }]);
    bench.introduced(1, "a", "{}");
    bench.ready(0);
    bench.says(1, SUBSCRIBE);
    bench.server_says(0, &answer(2, "{}"));
    bench.down(0, "was killed");
    assert_eq!(bench.passes(Duration::from_secs(1)), [""; 0], "it is left alone");
    let policies = vec![Policy { revision: 2, ..policy("a") }];
    assert!(bench.does(Event::Configured { policies }).contains(&"start a#2 as 1".to_owned()));
    assert_eq!(only(&bench.ready(1), "client 1")["method"], "notifications/resources/updated");
}

#[test]
fn whatever_is_changed_may_be_the_cure() {
    let mut bench = Bench::new(vec![Policy { crash_limit: 1, ..policy("a") }]);
    bench.introduced(1, "a", "{}");
    bench.down(0, "did not answer `initialize` in time");
    let patient = Policy { crash_limit: 1, start_timeout: Duration::from_mins(9), ..policy("a") };
    bench.does(Event::Configured { policies: vec![patient.clone()] });
    assert_eq!(bench.says(1, &initialize("{}")), ["start a#2 as 1"]);
    bench.down(1, "did not answer `initialize` in time");
    bench.does(Event::Configured { policies: vec![patient] });
    assert_eq!(only(&bench.says(1, &initialize("{}")), "client 1")["error"]["code"], -31006, "nothing was");
}

#[test]
fn somebody_who_subscribes_while_the_last_subscriber_leaves_hears_all_the_same() {
    let mut bench = one_of_two_subscribes();
    assert_eq!(bench.says(1, &SUBSCRIBE.replace("/subscribe", "/unsubscribe")).len(), 1);
    assert_eq!(only(&bench.says(2, SUBSCRIBE), "client 2")["id"], 6, "there still is a subscriber");
    let lines = bench.server_says(0, &answer(3, "{}"));
    assert_eq!(only(&lines, "server 0")["method"], "resources/subscribe", "{lines:?}");
    let news = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1"}}"#;
    assert_eq!(bench.server_says(0, news).len(), 1);
}
