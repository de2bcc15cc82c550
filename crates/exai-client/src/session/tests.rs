use super::*;

const OPENING: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
const OPENED: &[u8] = br#"{"jsonrpc":"2.0","id":0,"result":{}}"#;
const CONFIRMED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn call(id: u32) -> Vec<u8> {
    format!(r#"{{"method":"tools/call","params":{{}},"jsonrpc":"2.0","id":{id}}}"#).into_bytes()
}

fn list(id: u32) -> Vec<u8> {
    format!(r#"{{"method":"tools/list","jsonrpc":"2.0","id":{id}}}"#).into_bytes()
}

fn result(id: u32) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into_bytes()
}

/// The ids and codes of the errors in some lines, in order of id.
fn errors(lines: &[u8]) -> Vec<(u64, i64)> {
    let mut found: Vec<(u64, i64)> = lines
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap())
        .map(|value| (value["id"].as_u64().unwrap(), value["error"]["code"].as_i64().unwrap()))
        .collect();
    found.sort_unstable();
    found
}

/// A session whose conversation has begun.
fn open(now: Instant) -> Session {
    let mut session = Session::new(now);
    assert_eq!(session.up(OPENING, now), Up::Kept);
    assert_eq!(session.connected(), None);
    assert_eq!(session.take_waiting(), [OPENING]);
    assert_eq!(session.down(OPENED), Down::Forward);
    assert_eq!(session.up(CONFIRMED, now), Up::Send);
    assert!(session.idle());
    session
}

#[test]
fn a_request_under_way_is_answered_once_when_the_link_is_lost() {
    let now = Instant::now();
    let mut session = open(now);
    for id in 1..=3 {
        assert_eq!(session.up(&call(id), now), Up::Send);
    }
    assert_eq!(session.down(&result(2)), Down::Forward);
    assert_eq!(errors(&session.lost(now)), [(1, -31002), (3, -31002)]);
    assert_eq!(errors(&session.lost(now)), []);
    assert!(session.idle());
}

#[test]
fn what_was_not_written_goes_to_the_next_daemon_after_the_opening() {
    let now = Instant::now();
    let mut session = open(now);
    let (first, second, third) = (call(1), call(2), call(3));
    for line in [&first, &second, &third] {
        assert_eq!(session.up(line, now), Up::Send);
    }
    session.unsent([&second[..], &third[..]].into_iter());
    assert_eq!(errors(&session.lost(now)), [(1, -31002)]);
    let later = list(4);
    assert_eq!(session.up(&later, now), Up::Kept);
    assert_eq!(session.connected().as_deref(), Some(OPENING));
    assert_eq!(session.take_waiting(), Vec::<Vec<u8>>::new());
    assert_eq!(session.down(br#"{"jsonrpc":"2.0","method":"notifications/message"}"#), Down::Forward);
    assert_eq!(session.down(OPENED), Down::Resumed);
    assert_eq!(session.take_waiting(), [CONFIRMED.to_vec(), second, third, later]);
    for id in 2..=4 {
        assert_eq!(session.down(&result(id)), Down::Forward);
    }
    assert!(session.idle());
}

#[test]
fn an_opening_without_an_answer_is_asked_again_and_answered() {
    let now = Instant::now();
    let mut session = Session::new(now);
    assert_eq!(session.connected(), None);
    assert_eq!(session.up(OPENING, now), Up::Send);
    assert_eq!(session.lost(now), b"");
    assert_eq!(session.connected(), None);
    assert_eq!(session.take_waiting(), [OPENING]);
    assert_eq!(session.down(OPENED), Down::Forward);
}

#[test]
fn patience_ends_and_new_requests_are_answered_at_once_then() {
    let start = Instant::now();
    let mut session = Session::new(start);
    assert_eq!(session.up(&call(1), start), Up::Kept);
    assert_eq!(session.up(CONFIRMED, start), Up::Kept);
    assert_eq!(session.expire(start + PATIENCE / 2), b"");
    let late = session.deadline().unwrap();
    session.trouble("its lock is held".to_owned());
    let told = session.expire(late);
    assert_eq!(errors(&told), [(1, -31001)]);
    assert!(String::from_utf8_lossy(&told).contains("its lock is held"));
    assert!(session.idle() && session.deadline().is_none());
    let Up::Answer(told) = session.up(&list(2), late) else { panic!("not answered") };
    assert_eq!(errors(&told), [(2, -31001)]);
}

#[test]
fn after_a_stop_only_a_request_that_does_something_starts_a_daemon() {
    let start = Instant::now();
    let mut session = open(start);
    session.bye(ByeReason::Stop);
    session.lost(start);
    assert!(!session.may_start());
    let later = start + 2 * PATIENCE;
    let Up::Answer(told) = session.up(&list(1), later) else { panic!("not answered") };
    assert_eq!(errors(&told), [(1, -31001)]);
    assert!(!session.may_start());
    assert_eq!(session.up(&call(2), later), Up::Kept);
    assert!(session.may_start());
    assert_eq!(session.deadline(), Some(later + PATIENCE));
}

#[test]
fn what_waits_is_bounded() {
    let now = Instant::now();
    let mut session = Session::new(now);
    for id in 0..WAITING as u32 {
        assert_eq!(session.up(&call(id), now), Up::Kept);
    }
    let Up::Answer(told) = session.up(&call(999), now) else { panic!("not answered") };
    assert_eq!(errors(&told), [(999, -31003)]);
}

#[test]
fn the_answer_to_a_daemon_that_is_gone_goes_nowhere() {
    let now = Instant::now();
    let mut session = open(now);
    session.down(br#"{"jsonrpc":"2.0","id":"d1","method":"roots/list"}"#);
    session.down(br#"{"jsonrpc":"2.0","id":"d2","method":"roots/list"}"#);
    let roots = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{}}}}"#).into_bytes();
    assert_eq!(session.up(&roots("d1"), now), Up::Send);
    session.lost(now);
    session.connected();
    session.down(OPENED);
    session.take_waiting();
    assert_eq!(session.up(&roots("d2"), now), Up::Kept);
    assert_eq!(session.up(&roots("d2"), now), Up::Send);
    assert!(session.idle());
}

#[test]
fn a_batch_is_booked_by_its_parts_and_garbage_passes() {
    let now = Instant::now();
    let mut session = open(now);
    assert_eq!(session.up(br#"[{"id":1,"method":"a"},{"id":2,"method":"b"}]"#, now), Up::Send);
    assert_eq!(session.up(b"garbage", now), Up::Send);
    assert_eq!(session.down(br#"[{"id":1,"result":{}}]"#), Down::Forward);
    assert_eq!(errors(&session.lost(now)), [(2, -31002)]);
}

#[test]
fn what_is_too_long_is_answered_under_its_id() {
    assert_eq!(errors(&Session::too_long(Some(Id::number(7)))), [(7, -31007)]);
    assert!(String::from_utf8_lossy(&Session::too_long(None)).contains("\"id\":null"));
}
