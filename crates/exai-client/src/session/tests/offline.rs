//! The answers of a shim without a daemon.

use super::*;

const TOOLS: &str = r#"{"tools":[{"name":"a","n":1.0e2 }],"nextCursor":"2"}"#;

fn page(id: u32, method: &str, cursor: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"cursor":{cursor}}}}}"#)
        .into_bytes()
}

fn answer_with(id: u32, result: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes()
}

/// A session in which two pages of tools were listed.
fn listed(now: Instant) -> Session {
    let mut session = open(now);
    let asked = [(list(1), TOOLS), (page(2, "tools/list", "\"2\""), r#"{"tools":[]}"#)];
    for (number, (line, result)) in asked.into_iter().enumerate() {
        assert_eq!(session.accept_line(&line, now), LineAction::Send);
        assert_eq!(session.accept_message(&answer_with(number as u32 + 1, result)), MessageAction::Forward);
    }
    session
}

fn text(up: LineAction) -> String {
    let LineAction::Answer(lines) = up else { panic!("not answered: {up:?}") };
    String::from_utf8(lines).unwrap()
}

#[test]
fn after_a_stop_lists_come_from_the_last_copy_and_start_nothing() {
    let now = Instant::now();
    let mut session = listed(now);
    // One request is under way when the daemon is stopped.
    assert_eq!(session.accept_line(&list(3), now), LineAction::Send);
    session.note_goodbye(ByeReason::Stop);
    let told = String::from_utf8(session.link_lost(now)).unwrap();
    assert_eq!(told, format!("{{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{TOOLS}}}\n"));
    for id in 4..6 {
        let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{TOOLS}}}\n");
        assert_eq!(text(session.accept_line(&list(id), now)), expected, "byte for byte");
    }
    assert!(
        text(session.accept_line(&page(6, "tools/list", "\"2\""), now)).contains(r#""result":{"tools":[]}"#)
    );
    // A list that was never requested is unknown, and each page counts as a list of its own.
    assert_eq!(answered(session.accept_line(&request(7, "prompts/list"), now)), [(7, -31001)]);
    assert_eq!(answered(session.accept_line(&page(8, "tools/list", "\"3\""), now)), [(8, -31001)]);
    assert!(!session.may_start());
    // A request that does something starts a daemon.
    assert_eq!(session.accept_line(&call(9), now), LineAction::Kept);
    assert!(session.may_start());
    // With the next daemon, the lists may differ from the copies that the client got.
    session.link_opened();
    session.take_waiting(now);
    let MessageAction::Instead(said) =
        session.accept_message(br#"{"jsonrpc":"2.0","id":"exai-1","result":{}}"#)
    else {
        panic!()
    };
    let methods: Vec<_> = values(&said).iter().map(|value| value["method"].clone()).collect();
    assert_eq!(methods, ["notifications/tools/list_changed", "notifications/prompts/list_changed"]);
}

#[test]
fn a_modern_client_is_answered_from_what_a_modern_client_was_told() {
    let now = Instant::now();
    let discovered = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"ttlMs":3600000,"cacheScope":"public"}"#;
    let tools =
        r#"{"resultType":"complete","tools":[{"name":"a","n":1.0e2 }],"ttlMs":5000,"cacheScope":"public"}"#;
    let mut session = listed(now);
    for (id, method, result) in [(3, "server/discover", discovered), (4, "tools/list", tools)] {
        assert_eq!(session.accept_line(&modern(id, method), now), LineAction::Send);
        assert_eq!(session.accept_message(&answer_with(id, result)), MessageAction::Forward);
    }
    session.note_goodbye(ByeReason::Stop);
    assert_eq!(session.link_lost(now), b"");
    let answer = |id: u32, result: &str| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n");
    let fresh = |result: &str| result.replace("3600000", "0").replace("5000", "0");
    let told = text(session.accept_line(&modern(5, "server/discover"), now));
    assert_eq!(told, answer(5, &fresh(discovered)));
    assert_eq!(text(session.accept_line(&modern(6, "tools/list"), now)), answer(6, &fresh(tools)));
    // The two eras share no copy.
    assert_eq!(text(session.accept_line(&list(7), now)), answer(7, TOOLS));
    assert_eq!(answered(session.accept_line(&request(8, "server/discover"), now)), [(8, -31001)]);
    assert_eq!(answered(session.accept_line(&modern(9, "prompts/list"), now)), [(9, -31001)]);
    // To a legacy session only what it has asked for itself has changed.
    assert_eq!(session.accept_line(CONFIRMED, now), LineAction::Kept);
    session.link_opened();
    let MessageAction::Instead(said) =
        session.accept_message(br#"{"jsonrpc":"2.0","id":"exai-1","result":{}}"#)
    else {
        panic!()
    };
    let methods: Vec<_> = values(&said).iter().map(|value| value["method"].clone()).collect();
    assert_eq!(methods, ["notifications/tools/list_changed"]);
    assert!(session.is_idle());
}

#[test]
fn a_list_that_ends_in_an_error_is_no_copy() {
    let now = Instant::now();
    let mut session = listed(now);
    assert_eq!(session.accept_line(&list(3), now), LineAction::Send);
    assert_eq!(
        session.accept_message(br#"{"jsonrpc":"2.0","id":3,"error":{"code":-31006}}"#),
        MessageAction::Forward
    );
    session.note_goodbye(ByeReason::Stop);
    session.link_lost(now);
    assert!(text(session.accept_line(&list(4), now)).contains(TOOLS));
}

#[test]
fn where_there_is_no_daemon_the_client_is_introduced_and_told_later_what_there_is() {
    let start = Instant::now();
    let mut session = Session::new(start);
    let opening = br#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}"#;
    assert_eq!(session.accept_line(opening, start), LineAction::Kept);
    session.set_trouble("it cannot start".to_owned());
    assert_eq!(session.deadline(), Some(start + INITIALIZE_WAIT_TIMEOUT));
    let now = start + INITIALIZE_WAIT_TIMEOUT;
    let said = values(&session.expire(now)).remove(0);
    assert_eq!((&said["id"], &said["result"]["protocolVersion"]), (&"a".into(), &"2025-06-18".into()));
    assert_eq!(said["result"]["serverInfo"]["name"], "exai");
    assert_eq!(said["result"]["capabilities"]["tools"]["listChanged"], true);
    assert!(said["result"]["instructions"].as_str().unwrap().contains("it cannot start"), "{said}");
    assert_eq!(session.accept_line(CONFIRMED, now), LineAction::Kept);
    session.set_hopeless(true);
    // Every request is refused, since there is nothing to offer.
    assert_eq!(answered(session.accept_line(&list(1), now)), [(1, -31001)]);
    assert_eq!(answered(session.accept_line(&call(2), now)), [(2, -31001)]);
    // The next daemon gets the client's handshake, and the client learns that there are lists to request.
    let replay = session.link_opened();
    assert_eq!(replay.len(), 2, "{replay:?}");
    assert_eq!(values(&replay[0])[0]["params"]["protocolVersion"], "2025-06-18");
    assert_eq!(replay[1], CONFIRMED);
    let MessageAction::Instead(said) =
        session.accept_message(br#"{"jsonrpc":"2.0","id":"exai-1","result":{}}"#)
    else {
        panic!()
    };
    assert_eq!(values(&said)[0]["method"], "notifications/tools/list_changed");
    assert_eq!(session.accept_line(&list(3), now), LineAction::Send);
}

#[test]
fn what_a_server_said_of_itself_is_said_again_to_who_asks_in_the_same_way() {
    let now = Instant::now();
    let mut session = open(now);
    session.link_lost(now);
    session.set_hopeless(true);
    let with_seven = |line: &[u8]| String::from_utf8_lossy(line).replace("\"id\":0", "\"id\":7").into_bytes();
    let told = text(session.accept_line(&with_seven(OPENING), now));
    assert_eq!(told.trim_end().as_bytes(), with_seven(OPENED));
    let other =
        br#"{"jsonrpc":"2.0","id":8,"method":"initialize","params":{"protocolVersion":"1999-01-01"}}"#;
    assert!(text(session.accept_line(other, now)).contains(r#""protocolVersion":"2025-11-25""#));
}

#[test]
fn who_does_not_wait_for_the_introduction_has_confirmed_it() {
    let start = Instant::now();
    let mut session = Session::new(start);
    assert_eq!(session.accept_line(OPENING, start), LineAction::Kept);
    assert_eq!(session.accept_line(CONFIRMED, start), LineAction::Kept);
    session.set_hopeless(true);
    assert_eq!(values(&session.expire(start)).len(), 1);
    assert_eq!(session.link_opened().len(), 2);
}
