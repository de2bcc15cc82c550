//! The rules by which clients share an instance, and by which a server's question goes to one client.

use exai_mux::policy::Share;

use crate::support::{Bench, only, policy};

const CALL: &str = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t"}}"#;
const ASK: &str =
    r#"{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"_meta":{"progressToken":9}}}"#;

#[test]
fn clients_with_other_capabilities_get_another_instance_and_order_of_keys_is_no_difference() {
    let mut bench = Bench::new(vec![policy("a")]);
    assert_eq!(bench.introduced(1, "a", r#"{"roots":{},"sampling":{}}"#), ["start a#1 as 0"]);
    assert_eq!(bench.introduced(2, "a", r#"{"sampling":{},"roots":{},"tasks":{"x":1}}"#), [""; 0]);
    assert_eq!(bench.introduced(3, "a", "{}"), ["start a#2 as 1"]);
    assert_eq!(
        only(&bench.up(0), "server 0")["params"]["capabilities"].to_string(),
        r#"{"roots":{},"sampling":{}}"#
    );
}

#[test]
fn share_client_separates_and_share_shared_does_not() {
    let mut bench = Bench::new(vec![
        exai_mux::policy::Policy { share: Share::Client, ..policy("own") },
        exai_mux::policy::Policy { share: Share::Shared, ..policy("all") },
    ]);
    assert_eq!(bench.introduced(1, "own", "{}"), ["start own#1 as 0"]);
    assert_eq!(bench.introduced(2, "own", "{}"), ["start own#2 as 1"]);
    assert_eq!(bench.introduced(3, "all", r#"{"roots":{}}"#), ["start all#1 as 2"]);
    assert_eq!(bench.introduced(4, "all", "{}"), [""; 0]);
    assert_eq!(only(&bench.up(2), "server 2")["params"]["capabilities"].to_string(), "{}");
}

#[test]
fn a_server_asks_the_only_client_with_a_request_under_way_and_gets_its_answer_under_its_own_id() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", r#"{"sampling":{}}"#);
    bench.ready(0);
    bench.introduced(2, "a", r#"{"sampling":{}}"#);
    bench.says(2, CALL);
    let asked = only(&bench.server_says(0, ASK), "client 2");
    assert_eq!((&asked["id"], &asked["params"]["_meta"]["progressToken"]), (&1.into(), &1.into()));
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    assert_eq!(only(&bench.says(2, progress), "server 0")["params"]["progressToken"], 9);
    assert_eq!(
        bench.says(1, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        [""; 0],
        "nobody answers for another"
    );
    let answer = bench.says(2, r#"{"jsonrpc":"2.0","id":1,"result":{"role":"assistant"}}"#);
    assert_eq!(answer, [r#"server 0 <- {"jsonrpc":"2.0","id":"s1","result":{"role":"assistant"}}"#]);
    assert_eq!(bench.says(2, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), [""; 0], "nor twice");
}

#[test]
fn an_answer_to_what_another_daemon_asked_is_no_answer() {
    let asked_by = |epoch| {
        let mut bench = Bench::of_epoch(epoch, vec![policy("a")]);
        bench.introduced(1, "a", r#"{"sampling":{}}"#);
        bench.ready(0);
        let asked = only(&bench.server_says(0, ASK), "client 1");
        (bench, asked["id"].as_u64().expect("a number"))
    };
    let (mut bench, ours) = asked_by(7);
    let (_, theirs) = asked_by(u32::MAX);
    assert!(ours != theirs && theirs < 1 << 53, "{ours} {theirs}");
    let answers = |id: u64| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
    assert_eq!(bench.says(1, &answers(theirs)), [""; 0]);
    assert_eq!(bench.says(1, &answers(ours)).len(), 1);
}

#[test]
fn a_late_answer_over_a_new_link_is_no_answer_to_the_question_that_is_open_there() {
    let mut bench = Bench::new(vec![policy("a")]);
    let mut questions = Vec::new();
    // The same program opens a new link each time, and the same daemon asks it again.
    for link in 1..=3 {
        let instance = link - 1;
        bench.introduced(link, "a", r#"{"sampling":{}}"#);
        bench.ready(instance);
        let asked = only(&bench.server_says(instance, ASK), &format!("client {link}"));
        assert_eq!(asked["id"], asked["params"]["_meta"]["progressToken"]);
        let number = asked["id"].as_u64().expect("a number");
        assert!(!questions.contains(&number), "{number} means another question: {questions:?}");
        for late in &questions {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{late},"result":{{}}}}"#);
            assert_eq!(bench.says(link, &answer), [""; 0]);
            let progress = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{late},"progress":1}}}}"#
            );
            assert_eq!(bench.says(link, &progress), [""; 0]);
        }
        questions.push(number);
        if link < 3 {
            bench.does(exai_mux::Event::Closed { client: exai_mux::ClientId(link) });
        } else {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#);
            assert_eq!(only(&bench.says(link, &answer), "server 2")["id"], "s1");
        }
    }
}

#[test]
fn a_question_is_withdrawn_when_the_server_that_has_asked_ends() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", r#"{"sampling":{}}"#);
    bench.ready(0);
    let number = only(&bench.server_says(0, ASK), "client 1")["id"].clone();
    let withdrawn = only(&bench.down(0, "was killed"), "client 1");
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], number);
    let late = format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{}}}}"#);
    assert_eq!(bench.says(1, &late), [""; 0]);
    assert_eq!(bench.router.counts().asked, 0);
}

#[test]
fn nobody_is_asked_when_it_cannot_be_known_who_is_meant() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", r#"{"sampling":{}}"#);
    bench.ready(0);
    bench.introduced(2, "a", r#"{"sampling":{}}"#);
    assert_eq!(only(&bench.server_says(0, ASK), "server 0")["error"]["code"], -32603, "two idle clients");
    bench.says(1, CALL);
    bench.says(2, CALL);
    assert_eq!(only(&bench.server_says(0, ASK), "server 0")["error"]["code"], -32603, "two busy clients");
    let pong = bench.server_says(0, r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#);
    assert_eq!(pong, [r#"server 0 <- {"jsonrpc":"2.0","id":4,"result":{}}"#]);
}

#[test]
fn an_only_client_is_asked_even_while_it_asks_nothing_and_its_leaving_is_told() {
    let mut bench = Bench::new(vec![policy("a")]);
    bench.introduced(1, "a", r#"{"roots":{}}"#);
    bench.ready(0);
    let asked = bench.server_says(0, r#"{"jsonrpc":"2.0","id":0,"method":"roots/list"}"#);
    assert_eq!(asked, [r#"client 1 <- {"jsonrpc":"2.0","id":1,"method":"roots/list"}"#]);
    let unwanted = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}"#;
    assert_eq!(only(&bench.server_says(0, unwanted), "client 1")["params"]["requestId"], 1);
    bench.server_says(0, r#"{"jsonrpc":"2.0","id":7,"method":"roots/list"}"#);
    let told = bench.does(exai_mux::Event::Closed { client: exai_mux::ClientId(1) });
    assert_eq!(only(&told, "server 0")["id"], 7);
}
