//! What happens to written requests when the link is lost.

use super::*;

/// Names of tools.
type Tools = &'static [&'static str];

fn tools(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_can_do_no_harm_is_asked_once_more_and_everything_else_never() {
    let again = [
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/get",
        "completion/complete",
        "ping",
        "server/discover",
        "tasks/get",
        "tools\\/list",
        "\\u0070ing",
    ];
    let once = [
        "tools/call",
        "tasks/update",
        "tasks/cancel",
        "tasks/result",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "subscriptions/listen",
        "x/unknown",
        "tools\\/lists",
        "Tools/list",
    ];
    let now = Instant::now();
    for (method, repeated) in
        again.map(|method| (method, true)).into_iter().chain(once.map(|method| (method, false)))
    {
        let mut session = open(now);
        let line = request(1, method);
        assert_eq!(session.accept_line(&line, now), LineAction::Send);
        if !repeated {
            assert_eq!(errors(&session.link_lost(now)), [(1, -31002)], "{method}");
            assert!(session.is_idle());
            continue;
        }
        assert_eq!(session.link_lost(now), b"", "{method}");
        assert_eq!(resume(&mut session, now), [line], "{method}");
        assert_eq!(errors(&session.link_lost(now)), [(1, -31002)], "{method}, a second time");
        assert!(session.is_idle());
    }
}

#[test]
fn a_call_is_asked_again_if_the_daemon_says_so_when_it_was_asked_and_still_when_the_link_is_lost() {
    // The repeatable tools before the call and after it, and whether the call is repeated.
    let cases: [(Tools, Option<Tools>, bool); 6] = [
        (&["make"], None, true),
        (&["look", "make"], Some(&["make"]), true),
        (&["make"], Some(&["look"]), false),
        (&["make"], Some(&[]), false),
        (&[], Some(&["make"]), false),
        (&["look"], None, false),
    ];
    let now = Instant::now();
    for (before, after, repeated) in cases {
        let mut session = open(now);
        session.set_repeatable(tools(before));
        assert_eq!(session.accept_line(&call(1), now), LineAction::Send);
        if let Some(after) = after {
            session.set_repeatable(tools(after));
        }
        let told = errors(&session.link_lost(now));
        assert_eq!(told.is_empty(), repeated, "{before:?} {after:?}");
        assert_eq!(resume(&mut session, now).len(), usize::from(repeated));
        // The list of repeatable tools belongs to a link. The next daemon has not sent one yet.
        assert_eq!(session.accept_line(&call(2), now), LineAction::Send);
        let lost = errors(&session.link_lost(now));
        let both = [(1, -31002), (2, -31002)];
        assert_eq!(lost, both[usize::from(!repeated)..], "{before:?} {after:?}");
    }
}

#[test]
fn what_is_asked_again_comes_in_its_order_before_everything_newer() {
    let now = Instant::now();
    let mut session = open(now);
    let lines: Vec<Vec<u8>> = (1..=20).map(list).collect();
    for line in &lines {
        assert_eq!(session.accept_line(line, now), LineAction::Send);
    }
    // The last request was not written whole, and request 7 is answered.
    session.unsent(std::iter::once(&lines[19][..]), now);
    session.accept_message(&result(7));
    assert_eq!(session.link_lost(now), b"");
    assert_eq!(session.accept_line(&call(21), now), LineAction::Kept);
    let mut expected = lines;
    expected.remove(6);
    expected.push(call(21));
    assert_eq!(resume(&mut session, now), expected);
    // The last request was not written on the first link, so it may still be repeated. Requests that were written twice
    // are answered from the last copy of the list.
    let told = values(&session.link_lost(now));
    let refused: Vec<_> = told.iter().filter(|answer| answer.get("error").is_some()).collect();
    assert_eq!((told.len(), refused.len()), (19, 1));
    assert_eq!(refused[0]["id"], 21);
    assert_eq!(resume(&mut session, now), [list(20)]);
}

#[test]
fn of_a_batch_the_part_alone_is_asked_again() {
    let now = Instant::now();
    let mut session = open(now);
    let part = br#"{"id":1,"method":"tools/list"}"#;
    let batch = [&b"["[..], part, br#", {"id":2,"method":"tools/call","params":{"name":"make"}}]"#].concat();
    assert_eq!(session.accept_line(&batch, now), LineAction::Send);
    let told = session.link_lost(now);
    assert_eq!(errors(&told), [(2, -31002)]);
    assert_eq!(values(&told)[0]["error"]["data"]["tool"], "make");
    assert_eq!(resume(&mut session, now), [part]);
}

#[test]
fn an_id_that_is_used_twice_at_a_time_is_not_asked_again() {
    let now = Instant::now();
    let mut session = open(now);
    assert_eq!(session.accept_line(&list(1), now), LineAction::Send);
    assert_eq!(session.accept_line(&call(1), now), LineAction::Send);
    assert_eq!(session.accept_message(&result(1)), MessageAction::Forward);
    assert_eq!(errors(&session.link_lost(now)), [(1, -31002)]);
}

#[test]
fn what_is_kept_to_be_asked_again_is_bounded() {
    let now = Instant::now();
    let mut session = open(now);
    let long = |id: u32| {
        let text = "x".repeat(limits::MESSAGE_BYTES / 2 - 100);
        format!(r#"{{"id":{id},"method":"resources/read","params":{{"uri":"{text}"}}}}"#).into_bytes()
    };
    for id in 1..=3 {
        assert_eq!(session.accept_line(&long(id), now), LineAction::Send);
    }
    session.accept_message(&result(1));
    assert_eq!(session.accept_line(&long(4), now), LineAction::Send);
    assert_eq!(errors(&session.link_lost(now)), [(3, -31002)]);
    assert_eq!(resume(&mut session, now).len(), 2);
}

#[test]
fn for_what_is_asked_again_no_daemon_means_an_unknown_outcome() {
    let start = Instant::now();
    let mut session = open(start);
    assert_eq!(session.accept_line(&list(1), start), LineAction::Send);
    let lost = start + Duration::from_secs(100);
    session.link_lost(lost);
    session.set_trouble("its lock is held".to_owned());
    assert_eq!(session.deadline(), Some(lost + DAEMON_WAIT_TIMEOUT));
    let told = session.expire(lost + DAEMON_WAIT_TIMEOUT);
    assert_eq!(errors(&told), [(1, -31002)]);
    assert!(String::from_utf8_lossy(&told).contains("its lock is held"));
}

#[test]
fn the_progress_of_what_is_asked_again_passes_from_where_the_first_run_had_come() {
    let now = Instant::now();
    let mut session = open(now);
    let read = |id: u32, token: u32| {
        format!(r#"{{"id":{id},"method":"resources/read","params":{{"_meta":{{"progressToken":{token}}}}}}}"#)
            .into_bytes()
    };
    let progress = |token: u32, value: &str| {
        let params = format!(r#"{{"progressToken":{token},"progress":{value},"total":9}}"#);
        format!(r#"{{"method":"notifications/progress","params":{params}}}"#).into_bytes()
    };
    let nothing = MessageAction::Instead(Vec::new());
    assert_eq!(session.accept_line(&read(1, 77), now), LineAction::Send);
    // During the first execution all progress passes, as it would without exai.
    for value in ["1", "2.5", "2", "\"?\""] {
        assert_eq!(session.accept_message(&progress(77, value)), MessageAction::Forward);
    }
    session.link_lost(now);
    resume(&mut session, now);
    // A message that could not be written does not count, and what is known of the progress stays.
    session.unsent(std::iter::once(&read(1, 77)[..]), now);
    session.link_lost(now);
    assert_eq!(resume(&mut session, now), [read(1, 77)]);
    assert_eq!(session.accept_line(&read(2, 78), now), LineAction::Send);
    for value in ["1", "2", "2.5", "\"?\"", "null"] {
        assert_eq!(session.accept_message(&progress(77, value)), nothing, "{value} is not above 2.5");
    }
    assert_eq!(session.accept_message(&progress(77, "2.6")), MessageAction::Forward);
    assert_eq!(session.accept_message(&progress(77, "2.6")), nothing);
    assert_eq!(session.accept_message(&progress(77, "3e0")), MessageAction::Forward);
    assert_eq!(session.accept_message(&progress(78, "1")), MessageAction::Forward);
    assert_eq!(session.accept_message(&result(1)), MessageAction::Forward);
    // The client may use the token for another request now.
    assert_eq!(session.accept_message(&progress(77, "1")), MessageAction::Forward);
    assert_eq!(session.accept_message(&result(2)), MessageAction::Forward);
    assert!(session.is_idle() && session.progress.is_empty());
}

#[test]
fn what_was_sent_once_is_never_called_unsent() {
    let now = Instant::now();
    let refusal = |id: u32, sent: bool| {
        let error = format!(r#"{{"code":-31006,"message":"it does not start","data":{{"sent":{sent}}}}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into_bytes()
    };
    let mut session = open(now);
    session.accept_line(&list(1), now);
    session.link_lost(now);
    assert_eq!(resume(&mut session, now), [list(1)]);
    let MessageAction::Instead(told) = session.accept_message(&refusal(1, false)) else {
        panic!("the first daemon had it")
    };
    assert_eq!(errors(&told), [(1, -31002)]);
    // For a request that was sent once, "not sent" is true. And a second daemon may say that it has sent the request.
    session.accept_line(&list(2), now);
    assert_eq!(session.accept_message(&refusal(2, false)), MessageAction::Forward);
    session.accept_line(&list(3), now);
    session.link_lost(now);
    resume(&mut session, now);
    assert_eq!(session.accept_message(&refusal(3, true)), MessageAction::Forward);
    assert!(session.is_idle());
}
