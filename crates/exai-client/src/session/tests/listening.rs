//! Listens (`subscriptions/listen`) over several links.

use super::*;
use crate::limits::{MAX_LISTEN_BYTES, MAX_LISTENS};

const TOOLS: &str = r#"{"toolsListChanged":true}"#;

/// The method of each line, what it is about, and the listen that it belongs to.
fn told(action: MessageAction) -> Vec<(String, String, u64)> {
    let MessageAction::Instead(lines) = action else { panic!("not instead: {action:?}") };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let of = |value: serde_json::Value| {
        let params = &value["params"];
        let listen = &params["_meta"]["io.modelcontextprotocol/subscriptionId"];
        (text(&value["method"]), text(&params["uri"]), listen.as_u64().unwrap())
    };
    values(&lines).into_iter().map(of).collect()
}

/// What the client is told of tools for this listen.
fn tools(id: u64) -> (String, String, u64) {
    ("notifications/tools/list_changed".to_owned(), String::new(), id)
}

const NOTHING: MessageAction = MessageAction::Instead(Vec::new());

/// A session whose client speaks the modern era only and has one listen.
fn listening(now: Instant, filter: &str) -> Session {
    let mut session = Session::new(now);
    session.link_opened();
    assert_eq!(session.accept_line(&listen(1, filter), now), LineAction::Send);
    assert_eq!(session.accept_message(&acknowledged(1, filter)), MessageAction::Forward);
    session
}

#[test]
fn a_listen_is_owed_to_nobody_and_goes_to_each_daemon() {
    let now = Instant::now();
    let mut session = listening(now, TOOLS);
    assert!(session.is_idle() && !session.awaits_daemon() && session.deadline().is_none());
    for _ in 0..3 {
        assert_eq!(session.link_lost(now), b"");
        assert!(session.is_idle() && session.deadline().is_none());
        assert_eq!(session.expire(now + 100 * DAEMON_WAIT_TIMEOUT), b"");
        assert_eq!(session.link_opened(), [listen(1, TOOLS)], "the same text under the same id");
        assert!(session.take_waiting(now).is_empty() && !session.awaits_daemon());
        assert_eq!(told(session.accept_message(&acknowledged(1, TOOLS))), [tools(1)]);
    }
    // What the daemon says on this link passes.
    let changed = answer::notify(
        "notifications/tools/list_changed",
        r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}"#,
    );
    assert_eq!(session.accept_message(&changed), MessageAction::Forward);
    // So does another acknowledgement on the same link.
    assert_eq!(session.accept_message(&acknowledged(1, "{}")), MessageAction::Forward);
    session.link_lost(now);
    session.link_opened();
    assert_eq!(session.accept_message(&acknowledged(1, TOOLS)), NOTHING, "the client listens to nothing now");
}

#[test]
fn what_was_acknowledged_to_the_client_is_what_it_is_told_of() {
    let tools = "notifications/tools/list_changed";
    let prompts = "notifications/prompts/list_changed";
    let resources = "notifications/resources/list_changed";
    let updated = "notifications/resources/updated";
    // What the first daemon acknowledges, and what the client is told when the second one acknowledges something else.
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("{}", &[]),
        (r#"{"toolsListChanged":true,"promptsListChanged":false}"#, &[(tools, "")]),
        (
            r#"{"resourcesListChanged" : true, "promptsListChanged":true,"x/y":true}"#,
            &[(prompts, ""), (resources, "")],
        ),
        (r#"{"resourceSubscriptions":["a:1", "a:\u0032"]}"#, &[(updated, "a:1"), (updated, "a:2")]),
        (r#"{"resourceSubscriptions":[],"taskIds":["t"]}"#, &[]),
        ("null", &[]),
    ];
    for (filter, expected) in cases {
        let now = Instant::now();
        let mut session = listening(now, filter);
        session.link_lost(now);
        session.link_opened();
        let told = told(session.accept_message(&acknowledged(1, TOOLS)));
        let told: Vec<_> = told.iter().map(|(method, uri, _)| (&**method, &**uri)).collect();
        assert_eq!(told, expected, "{filter}");
    }
}

#[test]
fn the_first_acknowledgement_is_the_clients_on_whichever_link_it_comes() {
    let now = Instant::now();
    let mut session = Session::new(now);
    assert_eq!(session.accept_line(&listen(1, TOOLS), now), LineAction::Kept);
    for _ in 0..2 {
        assert_eq!(session.link_opened(), [listen(1, TOOLS)]);
        session.link_lost(now);
    }
    session.link_opened();
    assert_eq!(session.accept_line(&listen(2, TOOLS), now), LineAction::Send);
    assert_eq!(session.accept_message(&acknowledged(2, TOOLS)), MessageAction::Forward);
    assert_eq!(session.accept_message(&acknowledged(1, TOOLS)), MessageAction::Forward);
    assert_eq!(session.accept_message(&acknowledged(3, TOOLS)), NOTHING, "no listen of the client");
    session.link_lost(now);
    assert_eq!(session.link_opened(), [listen(1, TOOLS), listen(2, TOOLS)]);
    assert_eq!(told(session.accept_message(&acknowledged(2, TOOLS))), [tools(2)]);
    assert_eq!(told(session.accept_message(&acknowledged(1, TOOLS))), [tools(1)]);
}

#[test]
fn a_listen_alone_starts_no_daemon_and_waits_for_one_in_silence() {
    let now = Instant::now();
    let mut session = Session::new(now);
    session.link_opened();
    session.note_goodbye(ByeReason::Stop);
    session.link_lost(now);
    assert_eq!(session.accept_line(&listen(1, TOOLS), now), LineAction::Kept);
    assert!(!session.may_start() && session.is_idle() && session.deadline().is_none());
    // So it is while no start is tried, and long after the daemon was lost.
    let mut session = Session::new(now);
    session.set_hopeless(true);
    assert_eq!(session.accept_line(&listen(1, TOOLS), now), LineAction::Kept);
    session.set_hopeless(false);
    let later = now + 2 * DAEMON_WAIT_TIMEOUT;
    assert_eq!(session.accept_line(&listen(2, TOOLS), later), LineAction::Kept);
    assert_eq!(session.expire(later), b"");
    assert_eq!(session.link_opened(), [listen(1, TOOLS), listen(2, TOOLS)]);
}

#[test]
fn a_listen_is_over_when_the_client_cancels_it_or_the_daemon_answers() {
    let now = Instant::now();
    let mut session = Session::new(now);
    session.link_opened();
    for id in 1..=6 {
        assert_eq!(session.accept_line(&listen(id, TOOLS), now), LineAction::Send);
        session.accept_message(&acknowledged(id, TOOLS));
    }
    // The daemon ends these, each in another way.
    assert_eq!(session.accept_message(&result(1)), MessageAction::Forward);
    let refusal = answer::error(&Id::number(2), -32602, "no");
    assert_eq!(session.accept_message(&refusal), MessageAction::Forward);
    assert_eq!(session.accept_message(&cancelled(3)), MessageAction::Forward);
    // The client cancels one that the daemon has, and one that no daemon has.
    assert_eq!(session.accept_line(&cancelled(4), now), LineAction::Send);
    // What was on its way then comes to nothing.
    let changed = answer::notify(
        "notifications/tools/list_changed",
        r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":4}}"#,
    );
    assert_eq!(session.accept_message(&acknowledged(4, TOOLS)), NOTHING);
    assert_eq!(session.accept_message(&changed), NOTHING);
    session.link_lost(now);
    assert_eq!(session.accept_line(&cancelled(5), now), LineAction::Kept);
    assert_eq!(session.link_opened(), [listen(6, TOOLS)]);
    assert!(session.take_waiting(now).is_empty());
    // One that waits while the daemon makes room, and one that was not written whole.
    session.hold();
    assert_eq!(session.accept_line(&listen(7, TOOLS), now), LineAction::Kept);
    assert_eq!(session.accept_line(&cancelled(7), now), LineAction::Kept, "no daemon has it");
    session.link_lost(now);
    session.link_opened();
    let line = listen(8, TOOLS);
    assert_eq!(session.accept_line(&line, now), LineAction::Send);
    session.unsent(std::iter::once(&line[..]), now);
    assert_eq!(session.accept_line(&cancelled(6), now), LineAction::Send);
    session.link_lost(now);
    assert_eq!(session.link_opened(), [line]);
    assert!(session.take_waiting(now).is_empty() && session.is_idle());
}

#[test]
fn a_daemon_that_makes_room_for_another_ends_no_listen() {
    let now = Instant::now();
    let mut session = Session::new(now);
    session.link_opened();
    for id in 1..=3 {
        session.accept_line(&listen(id, TOOLS), now);
        session.accept_message(&acknowledged(id, TOOLS));
    }
    session.hold();
    assert_eq!(session.accept_message(&result(1)), NOTHING);
    session.note_goodbye(ByeReason::Upgrade);
    assert_eq!(session.accept_message(&cancelled(2)), NOTHING);
    assert_eq!(session.link_lost(now), b"");
    assert_eq!(session.link_opened(), [1, 2, 3].map(|id| listen(id, TOOLS)));
    assert_eq!(told(session.accept_message(&acknowledged(1, TOOLS))), [tools(1)]);
}

#[test]
fn each_message_says_its_era_itself() {
    let now = Instant::now();
    // The client discovers, and then begins a session of the legacy era.
    let mut session = Session::new(now);
    session.link_opened();
    assert_eq!(session.accept_line(&modern(7, "server/discover"), now), LineAction::Send);
    assert_eq!(session.accept_message(&result(7)), MessageAction::Forward);
    assert_eq!(session.accept_line(OPENING, now), LineAction::Send);
    assert_eq!(session.accept_message(OPENED), MessageAction::Forward);
    assert_eq!(session.accept_line(CONFIRMED, now), LineAction::Send);
    assert_eq!(session.accept_line(&listen(1, TOOLS), now), LineAction::Send);
    assert_eq!(session.accept_message(&acknowledged(1, TOOLS)), MessageAction::Forward);
    // Without a version it is a request like any other: the legacy era has no listens.
    assert_eq!(session.accept_line(&request(2, "subscriptions/listen"), now), LineAction::Send);
    assert!(!session.is_idle() && session.awaits_daemon());
    assert_eq!(errors(&session.link_lost(now)), [(2, -31002)]);
    let replay = session.link_opened();
    assert_eq!(replay.len(), 3);
    assert!(values(&replay[0])[0]["method"] == "initialize" && replay[1] == CONFIRMED);
    assert_eq!(replay[2], listen(1, TOOLS));
    // A modern call is a call, whatever it carries.
    let answers = format!(r#"{{"name":"make","inputResponses":{{}},"requestState":"s",{MODERN}}}"#);
    let again =
        format!(r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{answers}}}"#).into_bytes();
    assert_eq!(session.accept_line(&again, now), LineAction::Send);
    assert_eq!(errors(&session.link_lost(now)), [(3, -31002)]);
    session.link_opened();
    session.set_repeatable(vec!["make".to_owned()]);
    assert_eq!(session.accept_line(&again, now), LineAction::Send);
    assert_eq!(session.link_lost(now), b"");
    session.link_opened();
    assert_eq!(session.take_waiting(now), [again]);
}

#[test]
fn an_id_of_a_listen_is_not_used_by_the_shim_and_not_for_a_second_listen() {
    let now = Instant::now();
    let mut session = open(now);
    let theirs = String::from_utf8(listen(1, TOOLS)).unwrap().replace("\"id\":1", "\"id\":\"exai-1\"");
    assert_eq!(session.accept_line(theirs.as_bytes(), now), LineAction::Send);
    session.link_lost(now);
    let replay = session.link_opened();
    assert_eq!(values(&replay[0])[0]["id"], "exai-2");
    assert_eq!(replay[2], theirs.as_bytes());
    // The second listen is a request like any other, and the daemon refuses it.
    assert_eq!(session.accept_line(&listen(5, TOOLS), now), LineAction::Send);
    assert_eq!(session.accept_line(&listen(5, "{}"), now), LineAction::Send);
    assert!(!session.is_idle());
    let refusal = answer::error(&Id::number(5), -32600, "the id is in use");
    assert_eq!(session.accept_message(&refusal), MessageAction::Forward);
    assert!(session.is_idle());
    session.link_lost(now);
    assert_eq!(session.link_opened()[2..], [theirs.as_bytes(), &listen(5, TOOLS)]);
    // A call with the id of a listen is still a call when neither was written whole.
    let lines = [listen(6, TOOLS), call(6)];
    for line in &lines {
        assert_eq!(session.accept_line(line, now), LineAction::Send);
    }
    session.unsent(lines.iter().map(Vec::as_slice), now);
    assert_eq!(session.link_lost(now), b"");
    assert_eq!(session.link_opened()[2..], [theirs.as_bytes(), &listen(5, TOOLS), &lines[0]]);
    assert_eq!(session.take_waiting(now), [call(6)]);
}

#[test]
fn what_is_listened_to_is_bounded() {
    let now = Instant::now();
    let mut session = Session::new(now);
    let most = MAX_LISTENS as u32;
    for id in 0..most {
        assert_eq!(session.accept_line(&listen(id, TOOLS), now), LineAction::Kept);
    }
    assert_eq!(answered(session.accept_line(&listen(most, TOOLS), now)), [(u64::from(most), -31003)]);
    assert_eq!(session.link_opened().len(), MAX_LISTENS);
    assert_eq!(answered(session.accept_line(&listen(most, TOOLS), now)), [(u64::from(most), -31003)]);
    assert_eq!(session.accept_line(&list(most + 1), now), LineAction::Send);
    assert_eq!(session.accept_line(&cancelled(0), now), LineAction::Send);
    assert_eq!(session.accept_line(&listen(most, TOOLS), now), LineAction::Send);

    // Two texts fill the room, and what is acknowledged to the first of them finds none.
    let mut session = Session::new(now);
    session.link_opened();
    let long = |bytes: usize| {
        format!(r#"{{"toolsListChanged":true,"resourceSubscriptions":["{}"]}}"#, "x".repeat(bytes))
    };
    let half = long(MAX_LISTEN_BYTES / 2 - 1000);
    assert_eq!(session.accept_line(&listen(1, &half), now), LineAction::Send);
    assert_eq!(session.accept_line(&listen(2, &half), now), LineAction::Send);
    assert_eq!(answered(session.accept_line(&listen(3, &half), now)), [(3, -31003)]);
    assert_eq!(session.accept_message(&acknowledged(1, &half)), MessageAction::Forward);
    session.link_lost(now);
    session.link_opened();
    assert_eq!(session.accept_message(&acknowledged(1, &half)), NOTHING, "the client has one already");
    for id in 1..=2 {
        assert_eq!(session.accept_line(&cancelled(id), now), LineAction::Send);
    }
    // Many short addresses would make many lines.
    let many = format!(r#"{{"resourceSubscriptions":[{}"a"]}}"#, r#""a","#.repeat(10_000));
    assert_eq!(session.accept_line(&listen(4, &many), now), LineAction::Send);
    assert_eq!(session.accept_message(&acknowledged(4, &many)), MessageAction::Forward);
    session.link_lost(now);
    session.link_opened();
    assert_eq!(told(session.accept_message(&acknowledged(4, &many))).len(), limits::SUBSCRIPTIONS);
}
