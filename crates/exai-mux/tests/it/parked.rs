//! Questions of servers of the legacy era to clients of the modern era.

use std::time::Duration;

use exai_mux::policy::Policy;
use exai_mux::{Endpoint, Event};
use serde_json::{Value, json};

use crate::eras::{legacy_result, number, request, result};
use crate::support::{Bench, only, policy};

/// A router with a ready server of the legacy era as instance 0, whose messages are bridged, and a modern client 1 with a
/// call `5` under way there, which has this number.
pub(crate) fn with_bridged_call(capabilities: &str) -> (Bench, u64) {
    let mut bench = Bench::new(vec![Policy { bridge: true, ..policy("a") }]);
    bench.open(1, Endpoint::One("a".into()));
    let call = request(5, "tools/call", r#""name":"t","arguments":{"x":1},"#)
        .replace(r#"{"elicitation":{}}"#, capabilities);
    assert_eq!(bench.says(1, &call), ["start a#1 as 0"]);
    let asked = bench.up(0);
    assert_eq!(
        only(&asked, "server 0")["params"]["capabilities"],
        serde_json::from_str::<Value>(capabilities).expect("JSON")
    );
    let lines = bench.server_says(0, &result(number(&asked, "server 0"), &legacy_result()));
    let sent: Vec<Value> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("server 0 <- "))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let number = sent.iter().find(|one| one["method"] == "tools/call").expect("the call is sent")["id"]
        .as_u64()
        .expect("a number");
    (bench, number)
}

/// What a client declares that can show forms.
pub(crate) const FORMS: &str = r#"{"elicitation":{}}"#;

/// What the client is told when the server has asked this.
pub(crate) fn asks(bench: &mut Bench, question: &str) -> Value {
    assert_eq!(bench.server_says(0, question), [""; 0], "it may ask more at the same time");
    only(&bench.lives(Duration::from_millis(50)), "client 1")
}

pub(crate) const QUESTION: &str =
    r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?"}}"#;

/// The request of [`with_bridged_call`] once more, with what was asked.
pub(crate) fn retry(id: u64, state: &str, responses: &str) -> String {
    request(
        id,
        "tools/call",
        &format!(
            r#""name":"t","arguments":{{"x":1}},"inputResponses":{responses},"requestState":"{state}","#
        ),
    )
}

#[test]
fn what_a_legacy_server_asks_is_asked_of_a_modern_client_in_the_place_of_an_answer() {
    let (mut bench, number) = with_bridged_call(FORMS);
    let discovered = only(&bench.says(1, &request(1, "server/discover", "")), "client 1");
    assert_eq!(discovered["result"]["supportedVersions"][0], "2026-07-28");
    let needed = asks(&mut bench, QUESTION);
    assert_eq!((&needed["id"], &needed["result"]["resultType"]), (&json!(5), &json!("input_required")));
    assert_eq!(
        needed["result"]["inputRequests"]["q"],
        json!({"method": "elicitation/create", "params": {"message": "?"}})
    );
    let state = needed["result"]["requestState"].as_str().expect("a state").to_owned();
    assert!(!bench.router.is_busy(), "nothing is under way for the client");
    // It asks for something else meanwhile. That waits until the client has answered.
    assert_eq!(bench.server_says(0, &QUESTION.replace("\"q\"", "\"q2\"")), [""; 0]);
    // A request without the answer is asked again, under another state.
    let again = only(&bench.says(1, &retry(6, &state, "{}")), "client 1");
    assert_eq!((&again["id"], &again["result"]["resultType"]), (&json!(6), &json!("input_required")));
    let next = again["result"]["requestState"].as_str().expect("a state").to_owned();
    assert_ne!(next, state);
    let requests = again["result"]["inputRequests"].as_object().expect("requests");
    assert_eq!(requests.keys().collect::<Vec<_>>(), ["q", "q2"]);
    let lines = bench.says(1, &retry(7, &next, r#"{"q":{"action":"accept","content":{"a":1.0}}}"#));
    assert_eq!(
        lines[0],
        r#"server 0 <- {"jsonrpc":"2.0","id":"q","result":{"action":"accept","content":{"a":1.0}}}"#
    );
    let second = only(&lines, "client 1");
    assert_eq!((&second["id"], &second["result"]["resultType"]), (&json!(7), &json!("input_required")));
    let last = second["result"]["requestState"].as_str().expect("a state").to_owned();
    assert!(
        bench.says(1, &retry(8, &last, r#"{"q2":{"action":"decline"}}"#))[0]
            .starts_with(r#"server 0 <- {"jsonrpc":"2.0","id":"q2""#)
    );
    let done = bench.server_says(0, &result(number, &json!({"content": []})));
    assert_eq!(
        done,
        [r#"client 1 <- {"jsonrpc":"2.0","id":8,"result":{"resultType":"complete","content":[]}}"#]
    );
    assert_eq!(bench.router.counts().parked, 0);
}

#[test]
fn a_request_state_is_good_once_and_for_one_request_of_one_client() {
    let (mut bench, _) = with_bridged_call(FORMS);
    let needed = asks(&mut bench, QUESTION);
    let state = needed["result"]["requestState"].as_str().expect("a state").to_owned();
    let answer = r#"{"q":{"action":"accept"}}"#;
    bench.open(2, Endpoint::One("a".into()));
    let refused = |lines: &[String], client: &str| only(lines, client)["error"]["code"].as_i64();
    assert_eq!(
        refused(&bench.says(2, &retry(1, &state, answer)), "client 2"),
        Some(-32602),
        "another client"
    );
    let other = retry(1, &state, answer).replace(r#"{"x":1}"#, r#"{"x":2}"#);
    assert_eq!(refused(&bench.says(1, &other), "client 1"), Some(-32602), "other arguments");
    let other = retry(1, &state, answer).replace(r#""name":"t""#, r#""name":"u""#);
    assert_eq!(refused(&bench.says(1, &other), "client 1"), Some(-32602), "another tool");
    assert_eq!(
        refused(&bench.says(1, &retry(1, "exai-0", answer)), "client 1"),
        Some(-32602),
        "no state at all"
    );
    assert_eq!(bench.router.counts().parked, 1, "none of this was of any effect");
    assert!(bench.says(1, &retry(6, &state, answer))[0].starts_with("server 0"));
    assert_eq!(
        refused(&bench.says(1, &retry(7, &state, answer)), "client 1"),
        Some(-32602),
        "once is enough"
    );
}

#[test]
fn a_parked_call_ends_with_its_client_its_server_or_its_time() {
    let parked = || {
        let (mut bench, number) = with_bridged_call(FORMS);
        let needed = asks(&mut bench, QUESTION);
        (bench, number, needed["result"]["requestState"].as_str().expect("a state").to_owned())
    };
    let answer = r#"{"q":{"action":"accept"}}"#;
    let declined = |lines: &[String]| {
        lines.iter().any(|line| line.contains(r#""id":"q","error""#))
            && lines.iter().any(|line| line.contains("notifications/cancelled"))
    };
    let (mut bench, ..) = parked();
    let lines = bench.does(Event::Closed { client: exai_mux::ClientId(1) });
    assert!(declined(&lines), "{lines:?}");
    assert_eq!(bench.router.counts().parked, 0);
    let (mut bench, ..) = parked();
    let lines = bench.lives(Duration::from_mins(11));
    assert!(declined(&lines), "{lines:?}");
    let (mut bench, _, state) = parked();
    bench.down(0, "exited");
    bench.lives(Duration::from_secs(1));
    assert_eq!(bench.router.counts().parked, 0);
    let lines = bench.says(1, &retry(6, &state, answer));
    assert_eq!(only(&lines, "client 1")["error"]["code"], -32602, "the server that has asked is gone");
    // A server that has not waited for the answer.
    let (mut bench, number, state) = parked();
    assert!(bench.server_says(0, &result(number, &json!({"content": []}))).is_empty());
    let lines = bench.says(1, &retry(6, &state, answer));
    assert_eq!(only(&lines, "client 1")["result"], json!({"resultType": "complete", "content": []}));
}

#[test]
fn a_legacy_server_that_wants_an_address_opened_first_is_asked_again_afterwards() {
    let (mut bench, number) = with_bridged_call(r#"{"elicitation":{"url":{}}}"#);
    let wanted = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"error":{{"code":-32042,"message":"open it","data":{{"elicitations":[{{"mode":"url","url":"x:y","elicitationId":"e"}}]}}}}}}"#
    );
    let needed = only(&bench.server_says(0, &wanted), "client 1");
    assert_eq!(needed["result"]["inputRequests"]["address-0"]["params"]["url"], "x:y");
    let state = needed["result"]["requestState"].as_str().expect("a state").to_owned();
    let again = retry(6, &state, r#"{"address-0":{"action":"accept"}}"#);
    let again = again.replace(FORMS, r#"{"elicitation":{"url":{}}}"#);
    let sent = only(&bench.says(1, &again), "server 0");
    assert_eq!(sent["params"], json!({"name": "t", "arguments": {"x": 1}, "_meta": {}}));
}

#[test]
fn what_a_client_cannot_do_is_not_asked_and_its_call_says_what_is_missing() {
    let (mut bench, number) = with_bridged_call(FORMS);
    let lines = bench.server_says(0, &QUESTION.replace("elicitation/create", "sampling/createMessage"));
    let told = only(&lines, "client 1");
    assert_eq!(told["error"]["code"], -32021);
    assert_eq!(told["error"]["data"]["requiredCapabilities"], json!({"sampling": {}}));
    assert!(lines.iter().any(|line| line.contains(r#""id":"q","error""#)), "the server is told: {lines:?}");
    assert!(lines.iter().any(|line| line.contains("notifications/cancelled")), "{lines:?}");
    assert_eq!(bench.server_says(0, &result(number, &json!({"content": []}))), [""; 0]);
}

#[test]
fn no_question_because_of_a_parked_call_reaches_a_session() {
    let (mut bench, _) = with_bridged_call(FORMS);
    asks(&mut bench, QUESTION);
    // A session has a process of its own: nothing that a bridged server asks can be meant for it.
    bench.open(2, Endpoint::One("a".into()));
    assert_eq!(bench.says(2, &crate::support::initialize(FORMS))[0], "start a#2 as 1");
    // Another client of the modern era has another one as soon as the server was seen to ask.
    bench.open(3, Endpoint::One("a".into()));
    assert_eq!(bench.says(3, &request(1, "tools/call", r#""name":"t","#)), ["start a#3 as 2"]);
}

#[test]
fn a_further_question_is_checked_like_the_first() {
    let (mut bench, _) = with_bridged_call(FORMS);
    asks(&mut bench, QUESTION);
    for method in ["sampling/createMessage", "evil/anything"] {
        let asked = QUESTION.replace("elicitation/create", method).replace("\"q\"", "\"q2\"");
        let refused = only(&bench.server_says(0, &asked), "server 0");
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("q2"), &json!(-32601)), "{method}");
    }
}

#[test]
fn a_call_that_is_cancelled_while_its_questions_are_gathered_is_not_parked() {
    let (mut bench, number) = with_bridged_call(FORMS);
    assert_eq!(bench.server_says(0, QUESTION), [""; 0]);
    bench.says(1, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    let lines = bench.lives(Duration::from_millis(50));
    assert!(lines.iter().any(|line| line.contains(r#""id":"q","error""#)), "{lines:?}");
    assert_eq!(bench.router.counts().parked, 0);
    bench.server_says(0, &result(number, &json!({"content": []})));
    // A question that its server withdraws is not asked.
    let (mut bench, _) = with_bridged_call(FORMS);
    bench.server_says(0, QUESTION);
    bench
        .server_says(0, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}"#);
    assert_eq!(bench.lives(Duration::from_millis(50)), [""; 0]);
    assert_eq!(bench.router.counts().parked, 0);
}

#[test]
fn a_parked_call_does_not_outlive_the_time_that_any_call_has() {
    let (mut bench, number) = with_bridged_call(FORMS);
    let progress = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{number},"progress":1}}}}"#
    );
    // Without a progress token of the client the call has its time once; so it is parked again and again.
    bench.server_says(0, &progress);
    let mut state =
        asks(&mut bench, QUESTION)["result"]["requestState"].as_str().expect("a state").to_owned();
    let mut id = 10;
    let told = loop {
        bench.lives(Duration::from_mins(9));
        let lines = bench.says(1, &retry(id, &state, "{}"));
        let told = only(&lines, "client 1");
        id += 1;
        match told["result"]["requestState"].as_str() {
            Some(next) => state = next.to_owned(),
            None => break told,
        }
    };
    assert!((16..20).contains(&id), "after an hour: {id}");
    assert_eq!(told["error"]["code"], -32602);
    assert!(!bench.router.is_busy() && bench.router.counts().parked == 0);
}

#[test]
fn connections_share_a_process_until_it_could_ask_one_of_them_because_of_a_parked_call_of_another() {
    let mut bench = Bench::new(vec![Policy { bridge: true, ..policy("a") }]);
    let open = |bench: &mut Bench, client: u64| {
        let (client, name) = (exai_mux::ClientId(client), exai_mux::ClientName::Program);
        let endpoint = Endpoint::One("a".into());
        bench.does(Event::Opened { client, endpoint, name, directory: None, stateless: true });
    };
    let call = request(5, "tools/call", r#""name":"t","arguments":{"x":1},"#);
    open(&mut bench, 1);
    assert_eq!(bench.says(1, &call), ["start a#1 as 0"]);
    let asked = bench.up(0);
    bench.server_says(0, &result(number(&asked, "server 0"), &legacy_result()));
    open(&mut bench, 2);
    assert!(bench.says(2, &request(6, "tools/list", ""))[0].starts_with("server 0"));
    bench.server_says(0, &result(3, &json!({"tools": []})));
    asks(&mut bench, QUESTION);
    open(&mut bench, 3);
    assert_eq!(bench.says(3, &call), ["start a#2 as 1"]);
}
