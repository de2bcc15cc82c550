//! Calls of the modern era whose user is to sign in on a page first.

use std::time::Duration;

use exai_mux::{Down, Endpoint, Event, InstanceId, See};
use serde_json::{Value, json};

use crate::eras::{modern, number, request, with_modern_server};
use crate::support::{Bench, only};

const PAGE: &str = "https://as.example/authorize";

fn signed_out() -> Down {
    Down { see: See::SignIn { page: Some(PAGE.into()) }, ..Down::because("wants somebody to sign in") }
}

/// A call of a client that can show pages. `more` is what comes with it when it is made again.
fn call(id: u64, more: &str) -> String {
    let text = request(id, "tools/call", &format!(r#""name":"t","arguments":{{"x":1}},{more}"#));
    text.replace(r#"{"elicitation":{}}"#, r#"{"elicitation":{"url":{}}}"#)
}

/// The call with what its user has done about the page.
fn again(id: u64, asked: &Value, action: &str) -> String {
    let state = asked["result"]["requestState"].as_str().expect("a state");
    let responses = json!({"address-0": {"action": action}});
    call(id, &format!(r#""inputResponses":{responses},"requestState":"{state}","#))
}

/// A router whose only server wants a sign-in, and what the client 1 was asked for its call.
fn with_question() -> (Bench, Value) {
    let mut bench = Bench::new(vec![modern("a")]);
    bench.open(1, Endpoint::One("a".into()));
    assert_eq!(bench.says(1, &call(5, "")), ["start a#1 as 0"]);
    let asked = only(&bench.does(Event::Down { instance: InstanceId(0), why: signed_out() }), "client 1");
    let question = &asked["result"]["inputRequests"]["address-0"]["params"];
    assert_eq!((&question["mode"], &question["url"]), (&json!("url"), &json!(PAGE)), "{asked}");
    (bench, asked)
}

fn sign_in(bench: &mut Bench) -> Vec<String> {
    bench.does(Event::Recovered { server: "a".into() })
}

#[test]
fn a_call_whose_user_has_agreed_goes_on_when_somebody_has_signed_in() {
    let (mut bench, asked) = with_question();
    assert_eq!(bench.says(1, &again(6, &asked, "accept")), [""; 0]);
    assert!(bench.router.is_busy(), "the call is under way");
    let lines = sign_in(&mut bench);
    assert_eq!(lines, ["start a#2 as 1"], "for the call that waits");
}

#[test]
fn whoever_has_signed_in_before_the_call_comes_again_does_not_wait() {
    let (mut bench, asked) = with_question();
    sign_in(&mut bench);
    // The server was started for its lists, and the call waits for that alone.
    assert_eq!(bench.says(1, &again(6, &asked, "accept")), [""; 0]);
    let gone = bench.does(Event::Down { instance: InstanceId(1), why: signed_out() });
    assert_eq!(only(&gone, "client 1")["result"]["resultType"], "input_required");
}

#[test]
fn who_agrees_and_does_not_sign_in_is_asked_again_after_a_while() {
    let (mut bench, asked) = with_question();
    assert_eq!(bench.says(1, &again(6, &asked, "accept")), [""; 0]);
    assert_eq!(bench.lives(Duration::from_secs(44)), [""; 0]);
    assert_eq!(
        bench.lives(Duration::from_secs(2)),
        ["start a#2 as 1"],
        "the server is asked, and nobody else"
    );
    let next = only(&bench.does(Event::Down { instance: InstanceId(1), why: signed_out() }), "client 1");
    assert_eq!((&next["id"], &next["result"]["resultType"]), (&json!(6), &json!("input_required")), "{next}");
    assert_ne!(next["result"]["requestState"], asked["result"]["requestState"]);
}

#[test]
fn who_declines_is_told_so_and_not_asked_again() {
    for action in ["decline", "cancel"] {
        let (mut bench, asked) = with_question();
        let refused = only(&bench.says(1, &again(6, &asked, action)), "client 1");
        assert_eq!(refused["error"]["data"]["kind"], "server_unavailable", "{refused}");
        assert!(!bench.router.is_busy());
    }
}

#[test]
fn a_call_that_waits_for_a_sign_in_ends_when_its_client_cancels_it_or_goes() {
    let (mut bench, asked) = with_question();
    bench.says(1, &again(6, &asked, "accept"));
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":6}}"#;
    assert_eq!(bench.says(1, cancel).len(), 1, "the request is dropped");
    assert!(!bench.router.is_busy());
    let (mut bench, asked) = with_question();
    bench.says(1, &again(6, &asked, "accept"));
    bench.does(Event::Closed { client: exai_mux::ClientId(1) });
    assert!(!bench.router.is_busy());
    let lines = sign_in(&mut bench);
    assert!(lines.iter().all(|line| line.starts_with("start")), "{lines:?}");
}

#[test]
fn a_sign_in_that_ends_ends_no_call_and_is_over_when_the_server_answers_again() {
    let (mut bench, _) = with_question();
    sign_in(&mut bench);
    bench.says(1, &call(7, ""));
    bench.does(Event::SignInEnded { server: "a".into(), why: signed_out() });
    let view = bench.router.servers(bench.now).remove(0);
    assert_eq!(view.health.reason(), Some("wants somebody to sign in"));
    assert!(bench.router.is_busy(), "the call is under way");
    sign_in(&mut bench);
    assert_eq!(bench.router.servers(bench.now).remove(0).health.reason(), None);
}

#[test]
fn a_running_server_that_wants_one_scope_more_is_waited_for_too() {
    let mut bench = with_modern_server();
    let sent = bench.says(1, &call(5, ""));
    let refuse = |number: u64, kind: &str| {
        let wanted = json!({"mode": "url", "url": PAGE, "message": "sign in", "elicitationId": "e"});
        json!({"jsonrpc": "2.0", "id": number, "error": {"code": -32042, "message": "sign in",
            "data": {"elicitations": [wanted], "kind": kind}}})
        .to_string()
    };
    let asked = only(&bench.server_says(0, &refuse(number(&sent, "server 0"), "sign_in")), "client 1");
    assert_eq!(bench.says(1, &again(6, &asked, "accept")), [""; 0], "it waits");
    let mut sent = sign_in(&mut bench);
    sent.retain(|line| line.contains("tools/call"));
    // What the server itself wants opened is its own business: it is asked at once.
    let asked = only(&bench.server_says(0, &refuse(number(&sent, "server 0"), "other")), "client 1");
    assert_eq!(only(&bench.says(1, &again(7, &asked, "accept")), "server 0")["method"], "tools/call");
}
