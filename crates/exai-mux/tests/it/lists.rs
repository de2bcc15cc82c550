//! A server that is slow, hangs or answers nonsense does not delay the lists of the other servers.

use std::time::Duration;

use exai_mux::{ClientId, Endpoint, Era, Event};

use crate::support::{Bench, initialize, only, policy};

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
const LATEST: Duration = Duration::from_millis(1500);

fn all(bench: &mut Bench, client: u64) {
    bench.open(client, Endpoint::All);
    bench.says(client, &initialize("{}"));
}

fn list(kind: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"l","method":"{kind}/list"}}"#)
}

/// The answer to the request with this number: a list of items with these names.
fn items(number: u64, kind: &str, names: &[&str]) -> String {
    let items: Vec<String> = names.iter().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
    format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{"{kind}":[{}]}}}}"#, items.join(","))
}

fn names(lines: &[String], client: u64, kind: &str) -> Vec<String> {
    let answer = only(lines, &format!("client {client}"));
    let listed = answer["result"][kind].as_array().unwrap_or_else(|| panic!("{answer}"));
    listed.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

fn faults(bench: &Bench, server: &str) -> Vec<String> {
    let views = bench.router.servers(bench.now);
    views.into_iter().find(|view| &*view.name == server).map(|view| view.lists).expect("it is configured")
}

fn told(lines: &[String], client: u64) -> usize {
    lines.iter().filter(|line| **line == format!("client {client} <- {CHANGED}")).count()
}

#[test]
fn who_hangs_delays_the_first_list_by_a_second_and_a_half_and_no_other() {
    // The server hangs either before it is ready or when it is asked for its list.
    for ready in [false, true] {
        let mut bench = Bench::new(vec![policy("good"), policy("hang")]);
        all(&mut bench, 1);
        bench.says(1, &list("tools"));
        bench.ready(0);
        if ready {
            bench.ready(1);
        }
        assert_eq!(bench.server_says(0, &items(2, "tools", &["x"])), [""; 0]);
        assert_eq!(faults(&bench, "hang"), [""; 0]);
        let begun = bench.now;
        assert_eq!(names(&bench.lives(LATEST), 1, "tools"), ["good__x"]);
        assert_eq!(names(&bench.says(1, &list("tools")), 1, "tools"), ["good__x"]);
        all(&mut bench, 2);
        assert_eq!(names(&bench.says(2, &list("tools")), 2, "tools"), ["good__x"]);
        // The next list waits for the good server alone.
        assert!(bench.says(2, &list("prompts")).iter().all(|line| line.starts_with("server")));
        assert_eq!(names(&bench.server_says(0, &items(3, "prompts", &["p"])), 2, "prompts"), ["good__p"]);
        let said = faults(&bench, "hang").join("\n");
        let words = if ready { "has not answered tools/list" } else { "is not ready" };
        assert!(said.contains(words), "{said}");
        assert_eq!(faults(&bench, "good"), [""; 0]);
        assert!(bench.now - begun <= LATEST);
        // Both clients are told of the late list, and the next list is complete.
        if !ready {
            bench.ready(1);
        }
        let lines = bench.server_says(1, &items(2, "tools", &["y"]));
        assert_eq!((told(&lines, 1), told(&lines, 2)), (1, 1), "{lines:?}");
        assert_eq!(names(&bench.says(1, &list("tools")), 1, "tools"), ["good__x", "hang__y"]);
    }
}

#[test]
fn who_becomes_ready_is_waited_for_again_and_who_answers_promptly_too() {
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools"));
    assert_eq!(names(&bench.lives(LATEST), 1, "tools"), [""; 0]);
    bench.ready(0);
    bench.server_says(0, &items(2, "tools", &["x"]));
    // The server is ready again, so a list that is not known yet waits for it.
    assert!(bench.says(1, &list("prompts"))[0].starts_with("server 0"));
    assert_eq!(names(&bench.lives(LATEST), 1, "prompts"), [""; 0]);
    assert_eq!(names(&bench.says(1, &list("prompts")), 1, "prompts"), [""; 0]);
    // The server took too long for its last answer. The router still asks it, but the list does not wait for its
    // answer.
    bench.server_says(0, &items(3, "prompts", &["p"]));
    assert!(
        faults(&bench, "a")[0].starts_with("took 1.5 s to answer prompts/list"),
        "{:?}",
        faults(&bench, "a")
    );
    let lines = bench.says(1, &list("prompts"));
    assert_eq!(names(&lines, 1, "prompts"), ["a__p"]);
    assert!(lines.iter().any(|line| line.starts_with("server 0")), "{lines:?}");
    // This answer was fast, so lists wait for the server again.
    bench.server_says(0, &items(4, "prompts", &["p"]));
    assert_eq!(faults(&bench, "a"), [""; 0]);
    assert!(bench.says(1, &list("prompts"))[0].starts_with("server 0"));
    assert_eq!(names(&bench.server_says(0, &items(5, "prompts", &["q"])), 1, "prompts"), ["a__q"]);
}

#[test]
fn clients_that_give_up_early_do_not_wait_anew() {
    let mut bench = Bench::new(vec![policy("good"), policy("hang")]);
    for client in 1..4 {
        all(&mut bench, client);
        bench.says(client, &list("tools"));
        if client == 1 {
            bench.ready(0);
            bench.server_says(0, &items(2, "tools", &["x"]));
        }
        // Each client gives up after a second.
        let lines = bench.lives(Duration::from_secs(1));
        assert_eq!(lines.len(), usize::from(client == 2), "{client}: {lines:?}");
        bench.does(Event::Closed { client: ClientId(client) });
    }
    let again = bench.says(3, &list("tools"));
    assert_eq!(again, [""; 0], "it is gone");
    all(&mut bench, 4);
    assert_eq!(names(&bench.says(4, &list("tools")), 4, "tools"), ["good__x"]);
}

#[test]
fn a_server_that_fails_in_good_time_keeps_nobody_waiting_twice() {
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    for instance in 0..3 {
        let lines = bench.says(1, &list("tools"));
        assert!(lines[0].starts_with("start a"), "{lines:?}");
        // From the second time on the router starts the server, but the list does not wait for it.
        assert_eq!(lines.len(), 1 + usize::from(instance > 0), "{lines:?}");
        bench.lives(Duration::from_secs(1));
        bench.down(instance, "exited with status 1");
        bench.lives(Duration::from_secs(10));
    }
    assert_eq!(faults(&bench, "a"), [""; 0], "why it fails is said elsewhere");
}

#[test]
fn nonsense_and_errors_leave_what_was_known_and_are_told() {
    let error = r#"{"jsonrpc":"2.0","id":N,"error":{"code":-32603,"message":"no database"}}"#;
    for (nonsense, words) in [
        (error, "answers prompts/list with an error: {\"code\":-32603,\"message\":\"no database\"}"),
        (r#"{"jsonrpc":"2.0","id":N,"result":{"prompts":"x"}}"#, "answers prompts/list with what is no list"),
        (r#"{"jsonrpc":"2.0","id":N,"result":{}}"#, "answers prompts/list with what is no list: {}"),
    ] {
        let mut bench = Bench::new(vec![policy("a")]);
        all(&mut bench, 1);
        bench.says(1, &list("prompts"));
        bench.ready(0);
        bench.server_says(0, &items(2, "prompts", &["p"]));
        bench.says(1, &list("prompts"));
        let lines = bench.server_says(0, &nonsense.replace('N', "3"));
        assert_eq!(names(&lines, 1, "prompts"), ["a__p"], "{nonsense}");
        assert!(faults(&bench, "a")[0].starts_with(words), "{:?}", faults(&bench, "a"));
        // A client of the server's own endpoint gets the answer unchanged, and the router does not take the answer for
        // an empty list.
        bench.introduced(2, "a", "{}");
        bench.says(2, &list("prompts"));
        bench.server_says(0, &nonsense.replace('N', "4"));
        bench.says(1, &list("prompts"));
        assert_eq!(names(&bench.lives(LATEST), 1, "prompts"), ["a__p"], "{nonsense}");
        bench.server_says(0, &items(5, "prompts", &["q"]));
        bench.says(1, &list("prompts"));
        bench.server_says(0, &items(6, "prompts", &["q"]));
        assert_eq!(faults(&bench, "a"), [""; 0]);
    }
}

#[test]
fn a_cursor_that_does_not_advance_ends_the_list_and_what_came_is_kept() {
    // For each case: the cursors of the pages, the number of pages that the router asks for, and the words of the
    // complaint.
    for (cursors, asked, words) in [
        (&["end", "end"][..], 2, r#"repeats the cursor "end" in tools/list"#),
        (&["1", "2", "3", "2"], 4, r#"repeats the cursor "2" in tools/list"#),
        (&[""], 1, "gives an empty cursor in tools/list"),
    ] {
        let mut bench = Bench::new(vec![policy("a")]);
        all(&mut bench, 1);
        bench.says(1, &list("tools"));
        let mut lines = bench.ready(0);
        let mut pages = 0;
        for (at, cursor) in cursors.iter().enumerate() {
            let number = only(&lines[lines.len() - 1..], "server 0")["id"].clone();
            pages += 1;
            lines = bench.server_says(
                0,
                &format!(
                    r#"{{"jsonrpc":"2.0","id":{number},"result":{{"tools":[{{"name":"t{at}"}}],"nextCursor":"{cursor}"}}}}"#
                ),
            );
        }
        assert_eq!(pages, asked);
        let expected: Vec<String> = (0..asked).map(|at| format!("a__t{at}")).collect();
        assert_eq!(names(&lines, 1, "tools"), expected);
        assert!(faults(&bench, "a")[0].starts_with(words), "{:?}", faults(&bench, "a"));
        assert_eq!(bench.router.discovery("a", Era::Legacy).expect("it is known").1.lists[0].1.len(), asked);
    }
}

#[test]
fn a_change_that_is_said_four_times_at_once_is_told_twice_and_the_last_list_counts() {
    let mut bench = Bench::new(vec![policy("a")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools"));
    bench.ready(0);
    bench.server_says(0, &items(2, "tools", &["x"]));
    bench.introduced(2, "a", "{}");
    let (mut all_told, mut one_told, mut listed) = (0, 0, 0);
    for _ in 0..4 {
        let lines = bench.server_says(0, CHANGED);
        all_told += told(&lines, 1);
        one_told += told(&lines, 2);
        listed += lines.iter().filter(|line| line.starts_with("server 0")).count();
    }
    assert_eq!((all_told, one_told, listed), (1, 4, 1), "a client of the server itself hears its own words");
    // A list that the client requests now must not be answered with the list from before the change.
    let lines = bench.server_says(0, &items(3, "tools", &["y"]));
    assert_eq!(only(&lines, "server 0")["method"], "tools/list", "it was changed since it was asked for");
    assert_eq!(bench.says(1, &list("tools")), [""; 0]);
    assert_eq!(names(&bench.server_says(0, &items(4, "tools", &["y", "z"])), 1, "tools"), ["a__y", "a__z"]);
    let lines = bench.lives(Duration::from_millis(250));
    assert_eq!((told(&lines, 1), told(&lines, 2)), (1, 0), "{lines:?}");
    assert_eq!(only(&lines, "server 0")["method"], "tools/list");
    bench.server_says(0, &items(5, "tools", &["y", "z"]));
    assert_eq!(bench.lives(Duration::from_secs(5)), [""; 0]);
}

#[test]
fn servers_that_change_one_after_the_other_are_told_together() {
    let servers: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
    let mut bench = Bench::new(servers.iter().map(|name| policy(name)).collect());
    all(&mut bench, 1);
    bench.says(1, &list("tools"));
    assert_eq!(names(&bench.lives(LATEST), 1, "tools"), [""; 0]);
    let mut count = 0;
    for instance in 0..8 {
        bench.ready(instance);
        count += told(&bench.server_says(instance, &items(2, "tools", &["x"])), 1);
        count += told(&bench.lives(Duration::from_millis(20)), 1);
        if instance == 0 {
            bench.says(1, &list("tools"));
        }
    }
    count += told(&bench.lives(Duration::from_secs(5)), 1);
    assert_eq!(count, 2);
    assert_eq!(names(&bench.says(1, &list("tools")), 1, "tools").len(), 8);
}

#[test]
fn a_server_that_says_so_without_end_is_passed_on_less_and_less_and_named() {
    let mut bench = Bench::new(vec![policy("a"), policy("b")]);
    all(&mut bench, 1);
    bench.says(1, &list("tools"));
    let (mut answered, mut count) = (1, 0);
    // The server answers every request and announces another change after each answer.
    let mut reply = |bench: &mut Bench, lines: Vec<String>| {
        let mut told_now = told(&lines, 1);
        if lines.iter().any(|line| line.contains("tools/list") && line.starts_with("server 0")) {
            answered += 1;
            let name = format!("t{answered}");
            bench.server_says(0, &items(answered, "tools", &[&name]));
        }
        told_now += told(&bench.server_says(0, CHANGED), 1);
        told_now
    };
    let lines = bench.ready(0);
    bench.ready(1);
    bench.server_says(1, &items(2, "tools", &["b"]));
    // These two clients keep both servers from being stopped as idle.
    bench.introduced(2, "a", "{}");
    bench.introduced(3, "b", "{}");
    reply(&mut bench, lines);
    for _ in 0..3000 {
        let lines = bench.lives(Duration::from_millis(100));
        count += reply(&mut bench, lines);
    }
    assert!(count < 50, "told {count} times in five minutes");
    let said = faults(&bench, "a").join("\n");
    assert!(said.contains("says without end notifications/tools/list_changed"), "{said}");
    // The other server's changes are announced without delay.
    assert_eq!(told(&bench.server_says(1, CHANGED), 1), 1);
    assert_eq!(faults(&bench, "b"), [""; 0]);
    // The last change of the noisy server is announced too.
    assert_eq!(told(&bench.lives(Duration::from_secs(11)), 1), 1);
    bench.lives(Duration::from_mins(1));
    assert!(!faults(&bench, "a").join("\n").contains("without end"), "{:?}", faults(&bench, "a"));
}

#[test]
fn a_server_that_is_warmed_is_asked_for_all_it_has_and_ends_when_nobody_comes() {
    let mut bench = Bench::new(vec![policy("a")]);
    let warm = || Event::WarmUp { server: "a".into() };
    assert_eq!(bench.does(warm()), ["start a#1 as 0"]);
    assert_eq!(bench.does(warm()), [""; 0], "once is enough");
    let asked: Vec<String> = bench.ready(0)[1..]
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("server 0 <- ")?).ok())
        .filter_map(|message| message["method"].as_str().map(ToOwned::to_owned))
        .collect();
    assert_eq!(asked, ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]);
    for (number, kind) in [(2, "tools"), (3, "prompts"), (4, "resources"), (5, "resourceTemplates")] {
        bench.server_says(0, &items(number, kind, &[]));
    }
    assert_eq!(bench.router.discovery("a", Era::Legacy).expect("it is known").1.lists.len(), 4);
    assert_eq!(bench.lives(Duration::from_secs(89)), [""; 0]);
    assert_eq!(bench.lives(Duration::from_secs(2)), ["stop 0"]);
    all(&mut bench, 1);
    assert_eq!(names(&bench.says(1, &list("tools")), 1, "tools"), [""; 0], "nothing needs to be started");
    assert_eq!(bench.does(Event::WarmUp { server: "nobody".into() }), [""; 0]);
}
