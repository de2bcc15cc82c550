//! Questions of servers to the client, over several links.

use super::*;

fn question(id: u64) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#).into_bytes()
}

fn reply(id: u64) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into_bytes()
}

fn withdrawal(id: u64) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
        .into_bytes()
}

#[test]
fn questions_answers_and_withdrawals_pass_as_they_are() {
    let now = Instant::now();
    let mut session = open(now);
    assert_eq!(session.accept_message(&question(1)), MessageAction::Forward);
    assert_eq!(session.accept_line(&reply(1), now), LineAction::Send);
    assert_eq!(session.accept_line(&reply(1), now), LineAction::Kept, "once is enough");
    assert_eq!(session.accept_message(&question(7)), MessageAction::Forward);
    assert_eq!(
        session.accept_line(br#"{"jsonrpc":"2.0","id":"7","result":{}}"#, now),
        LineAction::Send,
        "a number as a string"
    );
    assert_eq!(session.accept_message(&question(2)), MessageAction::Forward);
    assert_eq!(session.accept_message(&withdrawal(2)), MessageAction::Forward);
    assert_eq!(session.accept_line(&reply(2), now), LineAction::Kept, "nobody wants it any more");
    // This is neither a question nor an answer. The daemon reports that.
    assert_eq!(session.accept_line(br#"{"jsonrpc":"2.0","id":8}"#, now), LineAction::Send);
    assert_eq!(session.link_lost(now), b"");
}

#[test]
fn a_question_is_withdrawn_with_its_daemon_and_answers_to_it_go_nowhere() {
    let now = Instant::now();
    let mut session = open(now);
    for id in 1..=3 {
        session.accept_message(&question(id));
    }
    // The answer was started, but not written whole.
    assert_eq!(session.accept_line(&reply(2), now), LineAction::Send);
    session.unsent(std::iter::once(&reply(2)[..]), now);
    let told = values(&session.link_lost(now));
    assert!(told.iter().all(|value| value["method"] == "notifications/cancelled"), "{told:?}");
    let withdrawn: Vec<_> = told.iter().map(|value| value["params"]["requestId"].as_u64()).collect();
    assert_eq!(withdrawn, [Some(1), Some(3)]);
    // The client may answer before it learns that the question was withdrawn.
    assert_eq!(session.accept_line(&reply(3), now), LineAction::Kept);
    assert_eq!(resume(&mut session, now), Vec::<Vec<u8>>::new());
    assert_eq!(session.accept_message(&question(71)), MessageAction::Forward);
    assert_eq!(session.accept_line(&reply(1), now), LineAction::Kept);
    // A batch goes to the daemon whole, since the daemon knows which questions it has asked.
    let batch = [b"[", &reply(1)[..], b",", &reply(71), b"]"].concat();
    assert_eq!(session.accept_line(&batch, now), LineAction::Send);
    assert_eq!(session.link_lost(now), b"");
    assert!(session.is_idle());
}
