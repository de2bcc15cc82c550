//! What the next daemon is told, and what the client is told after that.

use super::*;

const SET_LEVEL: &[u8] = br#"{"id":50,"method":"logging/setLevel","params":{"level":"warning"}}"#;

fn subscription(id: u32, un: &str, uri: &str) -> Vec<u8> {
    format!(r#"{{"id":{id},"method":"resources/{un}subscribe","params":{{"uri":"{uri}"}}}}"#).into_bytes()
}

fn asks(session: &mut Session, line: &[u8], good: bool) {
    assert_eq!(session.accept_line(line, Instant::now()), LineAction::Send);
    let Some(Peeked::Request { id, .. }) = peek::peek_at(line, 0) else { panic!("no request") };
    let id = Id::from_json(&line[id]);
    let answer = if good { answer::result(&id, b"{}") } else { answer::error(&id, -32602, "no") };
    assert_eq!(session.accept_message(&answer), MessageAction::Forward);
}

fn texts(lines: &[Vec<u8>]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

/// Answers the replayed request with the id `exai-N`; returns what the client gets.
#[track_caller]
fn told(session: &mut Session, number: u32, good: bool) -> Vec<String> {
    let id = Id::from_json(format!("\"exai-{number}\"").as_bytes());
    let answer = if good { answer::result(&id, b"{}") } else { answer::error(&id, -31006, "no") };
    let MessageAction::Instead(lines) = session.accept_message(&answer) else {
        panic!("the client got our answer")
    };
    values(&lines).iter().map(|value| format!("{} {}", value["method"], value["params"])).collect()
}

#[test]
fn the_opening_level_and_subscriptions_are_repeated_under_ids_of_our_own() {
    let now = Instant::now();
    let mut session = open(now);
    asks(&mut session, &request(51, "logging/setLevel"), true);
    asks(&mut session, SET_LEVEL, true);
    asks(&mut session, br#"{"id":52,"method":"logging/setLevel","params":{"level":"no such"}}"#, false);
    asks(&mut session, &subscription(1, "", "a:1"), true);
    asks(&mut session, &subscription(2, "", "a:2"), true);
    asks(&mut session, &subscription(3, "", "a:3"), false);
    asks(&mut session, &subscription(4, "", "a:4"), true);
    asks(&mut session, &subscription(5, "", "a:2"), true);
    asks(&mut session, &subscription(6, "un", "a:4"), false);
    session.link_lost(now);
    for round in 0..3 {
        let waiting = call(60 + round);
        assert_eq!(session.accept_line(&waiting, now), LineAction::Kept);
        let expected = [
            r#"{"jsonrpc":"2.0","id":"exai-1","method":"initialize","params":{}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":"exai-2","method":"logging/setLevel","params":{"level":"warning"}}"#,
            r#"{"jsonrpc":"2.0","id":"exai-3","method":"resources/subscribe","params":{"uri":"a:1"}}"#,
            r#"{"jsonrpc":"2.0","id":"exai-4","method":"resources/subscribe","params":{"uri":"a:2"}}"#,
        ];
        let number = |own: u32| 4 * round + own;
        let expected: Vec<String> = (1..=4).fold(expected.map(str::to_owned).to_vec(), |lines, own| {
            let (old, new) = (format!("\"exai-{own}\""), format!("\"exai-#{}\"", number(own)));
            lines.into_iter().map(|line| line.replace(&old, &new)).collect()
        });
        let expected: Vec<String> =
            expected.into_iter().map(|line| line.replace("exai-#", "exai-")).collect();
        assert_eq!(texts(&session.link_opened()), expected);
        // Waiting messages do not wait for the answers to the replayed requests.
        assert_eq!(session.take_waiting(now), [waiting]);
        assert!(session.awaits_daemon());
        assert_eq!(session.accept_message(&result(60 + round)), MessageAction::Forward);
        assert!(session.is_idle());
        // A daemon that refuses a replayed request must not affect the next daemon.
        let good = round != 1;
        told(&mut session, number(1), good);
        told(&mut session, number(2), good);
        let updated = if good {
            vec![r#""notifications/resources/updated" {"uri":"a:2"}"#.to_owned()]
        } else {
            Vec::new()
        };
        assert_eq!(told(&mut session, number(4), good), updated);
        assert!(session.awaits_daemon());
        session.link_lost(now);
        assert!(!session.awaits_daemon());
    }
}

#[test]
fn changes_are_announced_of_lists_that_the_client_has_and_the_server_announces() {
    let tools = "\"notifications/tools/list_changed\" null";
    let prompts = "\"notifications/prompts/list_changed\" null";
    // This server does not announce changes of its resources.
    let cases: [(&[&str], &[&str]); 5] = [
        (&[], &[]),
        (&["tools/list"], &[tools]),
        (&["prompts/list", "tools/list", "tools/list"], &[tools, prompts]),
        (&["resources/list", "resources/templates/list"], &[]),
        (&["tools/call", "prompts/get"], &[]),
    ];
    let now = Instant::now();
    for (asked, expected) in cases {
        let mut session = open(now);
        for (id, method) in (1..).zip(asked) {
            asks(&mut session, &request(id, method), true);
        }
        session.link_lost(now);
        session.link_opened();
        assert_eq!(told(&mut session, 1, true), expected, "{asked:?}");
        session.link_lost(now);
        session.link_opened();
        assert_eq!(told(&mut session, 2, false), Vec::<String>::new(), "no list after an error");
    }
}

#[test]
fn a_client_that_has_not_confirmed_hears_of_no_change() {
    let now = Instant::now();
    let mut session = Session::new(now);
    session.link_opened();
    asks(&mut session, OPENING, true);
    asks(&mut session, &list(1), true);
    asks(&mut session, &subscription(2, "", "a:1"), true);
    session.link_lost(now);
    let replay = texts(&session.link_opened());
    assert_eq!(replay.len(), 2);
    assert!(!replay[1].contains("initialized"), "{replay:?}");
    assert_eq!(told(&mut session, 1, true), Vec::<String>::new());
    assert_eq!(told(&mut session, 2, true), Vec::<String>::new());
    // The client confirms now, or while there is no daemon. Either way the confirmation is sent only once.
    assert_eq!(session.accept_line(CONFIRMED, now), LineAction::Send);
    session.link_lost(now);
    assert_eq!(session.accept_line(CONFIRMED, now), LineAction::Kept);
    assert_eq!(texts(&session.link_opened())[1].as_bytes(), CONFIRMED);
    assert_eq!(session.take_waiting(now), Vec::<Vec<u8>>::new());
}

#[test]
fn an_id_of_our_own_is_never_one_of_the_clients() {
    let now = Instant::now();
    let mut session = open(now);
    session.link_lost(now);
    let theirs = br#"{"id":"exai-1","method":"tools/call"}"#;
    assert_eq!(session.accept_line(theirs, now), LineAction::Kept);
    assert!(texts(&session.link_opened())[0].contains("\"exai-2\""));
    assert_eq!(session.take_waiting(now), [theirs]);
    // A client that uses one of the shim's ids while the shim uses it gets an error.
    let LineAction::Answer(refusal) = session.accept_line(br#"{"id":"exai-2","method":"ping"}"#, now) else {
        panic!("it passes")
    };
    assert_eq!(values(&refusal)[0]["error"]["code"], -32600);
    assert_eq!(session.accept_message(br#"{"id":"exai-1","result":{}}"#), MessageAction::Forward);
    assert_eq!(session.accept_message(br#"{"id":"exai-2","result":{}}"#), MessageAction::Instead(Vec::new()));
    assert_eq!(session.accept_line(br#"{"id":"exai-2","method":"ping"}"#, now), LineAction::Send);
}

#[test]
fn what_is_restored_is_bounded() {
    let now = Instant::now();
    let mut session = open(now);
    asks(&mut session, &subscription(1, "", &"x".repeat(9000)), true);
    for id in 1..=1100 {
        asks(&mut session, &subscription(id, "", &format!("a:{id}")), true);
    }
    session.link_lost(now);
    assert_eq!(session.link_opened().len(), 2 + 1024);
}

#[test]
fn a_conversation_without_an_opening_is_not_opened() {
    let now = Instant::now();
    let mut session = Session::new(now);
    session.link_opened();
    asks(&mut session, &request(1, "server/discover"), true);
    session.link_lost(now);
    assert!(session.link_opened().is_empty());
}
