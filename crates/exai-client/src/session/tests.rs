use std::time::{Duration, Instant};

use exai_proto::link::ByeReason;
use exai_proto::{Id, answer, limits};

use super::*;
use crate::limits::MAX_WAITING;
use crate::peek::{self, Peeked};

mod any_order;
mod asking;
mod listening;
mod offline;
mod repeating;
mod replaying;

const OPENING: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
const OPENED: &[u8] = br#"{"jsonrpc":"2.0","id":0,"result":{"capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true}}}}"#;
const CONFIRMED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn request(id: u32, method: &str) -> Vec<u8> {
    format!(r#"{{"method":"{method}","params":{{}},"jsonrpc":"2.0","id":{id}}}"#).into_bytes()
}

fn call(id: u32) -> Vec<u8> {
    format!(
        r#"{{"method":"tools/call","params":{{"arguments":{{}},"name":"make"}},"jsonrpc":"2.0","id":{id}}}"#
    )
    .into_bytes()
}

/// The `_meta` of a request of the modern era.
const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn modern(id: u32, method: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{MODERN}}}}}"#).into_bytes()
}

/// A listen with this filter.
fn listen(id: u32, filter: &str) -> Vec<u8> {
    let params = format!(r#"{{"notifications":{filter},{MODERN}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"subscriptions/listen","params":{params}}}"#).into_bytes()
}

/// The acknowledgement of a listen.
fn acknowledged(id: u32, filter: &str) -> Vec<u8> {
    let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let params = format!(r#"{{"notifications":{filter},"_meta":{meta}}}"#);
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{params}}}"#)
        .into_bytes()
}

fn list(id: u32) -> Vec<u8> {
    request(id, "tools/list")
}

fn result(id: u32) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into_bytes()
}

fn cancelled(id: u32) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
        .into_bytes()
}

fn values(lines: &[u8]) -> Vec<serde_json::Value> {
    let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The ids and codes of the errors in these lines, in order.
fn errors(lines: &[u8]) -> Vec<(u64, i64)> {
    let code =
        |value: serde_json::Value| (value["id"].as_u64().unwrap(), value["error"]["code"].as_i64().unwrap());
    values(lines).into_iter().map(code).collect()
}

#[track_caller]
fn answered(up: LineAction) -> Vec<(u64, i64)> {
    let LineAction::Answer(lines) = up else { panic!("not answered: {up:?}") };
    errors(&lines)
}

/// A session that has finished its handshake.
fn open(now: Instant) -> Session {
    let mut session = Session::new(now);
    assert_eq!(session.accept_line(OPENING, now), LineAction::Kept);
    assert!(session.link_opened().is_empty());
    assert_eq!(session.take_waiting(now), [OPENING]);
    assert_eq!(session.accept_message(OPENED), MessageAction::Forward);
    assert_eq!(session.accept_line(CONFIRMED, now), LineAction::Send);
    assert!(session.is_idle() && !session.awaits_daemon());
    session
}

/// The next daemon is there and answers the replayed requests. Returns the waiting messages that are written then.
fn resume(session: &mut Session, now: Instant) -> Vec<Vec<u8>> {
    let replay = session.link_opened();
    let waiting = session.take_waiting(now);
    for line in replay {
        if let Some(Peeked::Request { id, .. }) = peek::peek_at(&line, 0) {
            let answer = answer::result(&Id::from_json(&line[id]), b"{}");
            assert!(
                matches!(session.accept_message(&answer), MessageAction::Instead(_)),
                "the client hears of it"
            );
        }
    }
    waiting
}

#[test]
fn a_request_under_way_is_answered_once_when_the_link_is_lost() {
    let now = Instant::now();
    let mut session = open(now);
    for id in 1..=3 {
        assert_eq!(session.accept_line(&call(id), now), LineAction::Send);
    }
    assert_eq!(session.accept_message(&result(2)), MessageAction::Forward);
    let told = session.link_lost(now);
    assert_eq!(errors(&told), [(1, -31002), (3, -31002)]);
    assert_eq!(values(&told)[0]["error"]["data"]["tool"], "make");
    assert_eq!(errors(&session.link_lost(now)), []);
    assert!(session.is_idle());
}

#[test]
fn what_was_not_written_goes_to_the_next_daemon_after_the_opening() {
    let now = Instant::now();
    let mut session = open(now);
    let (first, second, third) = (call(1), call(2), call(3));
    for line in [&first, &second, &third] {
        assert_eq!(session.accept_line(line, now), LineAction::Send);
    }
    session.unsent([&second[..], &third[..]].into_iter(), now);
    // Newer messages must not overtake the unsent ones.
    let fourth = call(4);
    assert_eq!(session.accept_line(&fourth, now), LineAction::Kept);
    assert_eq!(errors(&session.link_lost(now)), [(1, -31002)]);
    let later = list(5);
    assert_eq!(session.accept_line(&later, now), LineAction::Kept);
    assert_eq!(resume(&mut session, now), [second, third, fourth, later]);
    for id in 2..=5 {
        assert_eq!(session.accept_message(&result(id)), MessageAction::Forward);
    }
    assert!(session.is_idle());
}

#[test]
fn an_opening_without_an_answer_is_asked_again_as_long_as_its_patience_lasts() {
    let start = Instant::now();
    let mut session = Session::new(start);
    assert!(session.link_opened().is_empty());
    assert_eq!(session.accept_line(OPENING, start), LineAction::Send);
    // A daemon that has the request may take its time.
    let mut now = start + 10 * DAEMON_WAIT_TIMEOUT;
    for _ in 0..3 {
        assert_eq!(session.link_lost(now), b"");
        now += INITIALIZE_WAIT_TIMEOUT / 4;
        assert!(session.link_opened().is_empty());
        assert_eq!(session.take_waiting(now), [OPENING]);
    }
    assert_eq!(session.link_lost(now), b"");
    assert_eq!(session.deadline(), Some(now + INITIALIZE_WAIT_TIMEOUT / 4));
    assert!(values(&session.expire(now + INITIALIZE_WAIT_TIMEOUT / 4))[0]["result"].is_object());
}

#[test]
fn patience_ends_and_new_requests_are_answered_at_once_then() {
    let start = Instant::now();
    let mut session = Session::new(start);
    assert_eq!(session.accept_line(&call(1), start), LineAction::Kept);
    assert_eq!(session.accept_line(CONFIRMED, start), LineAction::Kept);
    assert_eq!(session.expire(start + DAEMON_WAIT_TIMEOUT / 2), b"");
    let late = session.deadline().unwrap();
    assert!(session.wanted_by().unwrap() < late);
    session.set_trouble("its lock is held".to_owned());
    let told = session.expire(late);
    assert_eq!(errors(&told), [(1, -31001)]);
    assert!(String::from_utf8_lossy(&told).contains("its lock is held"));
    assert!(session.is_idle() && session.deadline().is_none());
    assert_eq!(answered(session.accept_line(&list(2), late)), [(2, -31001)]);
}

#[test]
fn a_request_has_a_patience_of_its_own_however_often_the_link_is_lost() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut session = open(start);
    session.link_lost(start);
    let (first, later) = (call(1), call(2));
    assert_eq!(session.accept_line(&first, start), LineAction::Kept);
    assert_eq!(session.accept_line(&later, start + 9 * second), LineAction::Kept);
    let mut now = start;
    for _ in 0..2 {
        now += 5 * second;
        session.link_opened();
        assert_eq!(session.take_waiting(now)[0], first);
        let all = [&first[..], &later];
        session.unsent(all.into_iter(), now);
        assert_eq!(session.link_lost(now), b"");
    }
    assert_eq!(session.deadline(), Some(start + DAEMON_WAIT_TIMEOUT));
    assert_eq!(errors(&session.expire(start + DAEMON_WAIT_TIMEOUT)), [(1, -31001)]);
    assert_eq!(session.deadline(), Some(start + DAEMON_WAIT_TIMEOUT + 9 * second));
}

#[test]
fn after_a_stop_only_a_request_that_does_something_starts_a_daemon() {
    let start = Instant::now();
    let mut session = open(start);
    assert_eq!(session.accept_line(&list(7), start), LineAction::Send);
    session.note_goodbye(ByeReason::Stop);
    assert_eq!(session.accept_line(&list(8), start), LineAction::Kept);
    // The request is not repeated, since that would start a daemon.
    assert_eq!(errors(&session.link_lost(start)), [(7, -31002)]);
    assert!(!session.may_start());
    assert_eq!(session.deadline(), Some(start));
    assert_eq!(errors(&session.expire(start)), [(8, -31001)]);
    let later = start + 2 * DAEMON_WAIT_TIMEOUT;
    assert_eq!(answered(session.accept_line(&list(1), later)), [(1, -31001)]);
    session.set_hopeless(false);
    assert!(!session.may_start());
    assert_eq!(session.accept_line(&call(2), later), LineAction::Kept);
    assert!(session.may_start());
    assert_eq!(session.deadline(), Some(later + DAEMON_WAIT_TIMEOUT));
}

#[test]
fn while_a_daemon_holds_new_requests_wait_and_what_is_under_way_gets_done() {
    let now = Instant::now();
    for parted in [false, true] {
        let mut session = open(now);
        assert_eq!(session.accept_line(&call(1), now), LineAction::Send);
        session.accept_message(br#"{"jsonrpc":"2.0","id":"d1","method":"roots/list"}"#);
        session.hold();
        let later = call(2);
        assert_eq!(session.accept_line(&later, now), LineAction::Kept);
        assert_eq!(session.accept_line(&call(3), now), LineAction::Kept);
        assert_eq!(session.accept_line(&cancelled(3), now), LineAction::Kept, "nobody has what it cancels");
        assert_eq!(session.accept_line(br#"{"jsonrpc":"2.0","id":"d1","result":{}}"#, now), LineAction::Send);
        assert_eq!(session.take_waiting(now), Vec::<Vec<u8>>::new());
        assert_eq!(session.accept_message(&result(1)), MessageAction::Forward);
        if parted {
            assert_eq!(errors(&session.expire(now + DAEMON_WAIT_TIMEOUT)), [(2, -31001)]);
            continue;
        }
        session.note_goodbye(ByeReason::Upgrade);
        assert_eq!(session.link_lost(now), b"");
        assert_eq!(resume(&mut session, now), [later]);
    }
}

#[test]
fn while_nobody_starts_a_daemon_requests_are_answered_at_once() {
    let now = Instant::now();
    let mut session = Session::new(now);
    assert_eq!(session.accept_line(&call(1), now), LineAction::Kept);
    session.set_hopeless(true);
    assert_eq!(session.deadline(), Some(now));
    assert_eq!(errors(&session.expire(now)), [(1, -31001)]);
    assert_eq!(answered(session.accept_line(&call(2), now)), [(2, -31001)]);
    session.set_hopeless(false);
    assert_eq!(session.accept_line(&call(3), now), LineAction::Kept);
}

#[test]
fn what_waits_is_bounded() {
    let now = Instant::now();
    let mut session = Session::new(now);
    for id in 0..MAX_WAITING as u32 {
        assert_eq!(session.accept_line(&call(id), now), LineAction::Kept);
    }
    assert_eq!(answered(session.accept_line(&call(999), now)), [(999, -31003)]);
}

#[test]
fn a_batch_is_booked_by_its_parts_and_garbage_passes() {
    let now = Instant::now();
    let mut session = open(now);
    assert_eq!(
        session.accept_line(br#"[{"id":1,"method":"a"},{"id":2,"method":"b"}]"#, now),
        LineAction::Send
    );
    assert_eq!(session.accept_line(b"garbage", now), LineAction::Send);
    assert_eq!(session.accept_message(br#"[{"id":1,"result":{}}]"#), MessageAction::Forward);
    assert_eq!(errors(&session.link_lost(now)), [(2, -31002)]);
    assert_eq!(
        session.accept_line(br#"[{"id":3,"method":"a"}, {"id":4,"method":"b"}]"#, now),
        LineAction::Kept
    );
    assert_eq!(session.accept_line(b"garbage", now), LineAction::Kept);
    let parts: [&[u8]; 3] = [br#"{"id":3,"method":"a"}"#, br#"{"id":4,"method":"b"}"#, b"garbage"];
    assert_eq!(resume(&mut session, now), parts);
}

#[test]
fn a_cancelled_request_gets_no_answer_of_ours_and_leaves_nothing() {
    let now = Instant::now();
    // Both requests wait, and neither is written.
    let mut session = open(now);
    session.link_lost(now);
    assert_eq!(session.accept_line(&call(1), now), LineAction::Kept);
    assert_eq!(session.accept_line(&call(2), now), LineAction::Kept);
    assert_eq!(session.accept_line(&cancelled(1), now), LineAction::Kept);
    assert_eq!(resume(&mut session, now), [call(2)]);
    // The request is under way.
    assert_eq!(session.accept_line(&cancelled(2), now), LineAction::Send);
    assert!(session.is_idle());
    // The daemon had already answered when the cancellation arrived.
    assert_eq!(session.accept_message(&result(2)), MessageAction::Forward);
    assert_eq!(session.accept_line(&list(3), now), LineAction::Send);
    assert_eq!(session.accept_line(&call(4), now), LineAction::Send);
    assert_eq!(session.accept_line(&cancelled(3), now), LineAction::Send);
    assert_eq!(errors(&session.link_lost(now)), [(4, -31002)]);
    assert!(session.is_idle());
    // Neither the request nor its cancellation was written whole.
    resume(&mut session, now);
    let (request, cancel) = (call(5), cancelled(5));
    assert_eq!(session.accept_line(&request, now), LineAction::Send);
    assert_eq!(session.accept_line(&cancel, now), LineAction::Send);
    session.unsent([&request[..], &cancel].into_iter(), now);
    assert_eq!(session.link_lost(now), b"");
    assert!(session.is_idle());
    // The request waits to be repeated.
    resume(&mut session, now);
    assert_eq!(session.accept_line(&list(6), now), LineAction::Send);
    assert_eq!(session.link_lost(now), b"");
    assert_eq!(session.accept_line(&cancelled(6), now), LineAction::Kept);
    assert!(session.is_idle());
    assert_eq!(resume(&mut session, now), Vec::<Vec<u8>>::new());
}

#[test]
fn an_opening_cannot_be_cancelled() {
    let now = Instant::now();
    let mut session = Session::new(now);
    assert_eq!(session.accept_line(OPENING, now), LineAction::Kept);
    assert_eq!(session.accept_line(&cancelled(0), now), LineAction::Kept);
    session.link_opened();
    assert_eq!(session.take_waiting(now), [OPENING]);
    assert_eq!(session.accept_line(&cancelled(0), now), LineAction::Send);
    assert!(!session.is_idle());
}

#[test]
fn what_is_too_long_is_answered_under_its_id() {
    assert_eq!(errors(&Session::too_long(Some(Id::number(7)))), [(7, -31007)]);
    assert!(String::from_utf8_lossy(&Session::too_long(None)).contains("\"id\":null"));
}
