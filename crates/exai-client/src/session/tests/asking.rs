//! What servers ask the client, over more than one link.

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
    assert_eq!(session.down(&question(1)), Down::Forward);
    assert_eq!(session.up(&reply(1), now), Up::Send);
    assert_eq!(session.up(&reply(1), now), Up::Kept, "once is enough");
    assert_eq!(session.down(&question(7)), Down::Forward);
    assert_eq!(
        session.up(br#"{"jsonrpc":"2.0","id":"7","result":{}}"#, now),
        Up::Send,
        "a number as a string"
    );
    assert_eq!(session.down(&question(2)), Down::Forward);
    assert_eq!(session.down(&withdrawal(2)), Down::Forward);
    assert_eq!(session.up(&reply(2), now), Up::Kept, "nobody wants it any more");
    // Neither question nor answer: the daemon says so.
    assert_eq!(session.up(br#"{"jsonrpc":"2.0","id":8}"#, now), Up::Send);
    assert_eq!(session.lost(now), b"");
}

#[test]
fn a_question_is_withdrawn_with_its_daemon_and_answers_to_it_go_nowhere() {
    let now = Instant::now();
    let mut session = open(now);
    for id in 1..=3 {
        session.down(&question(id));
    }
    // Written, and not written whole.
    assert_eq!(session.up(&reply(2), now), Up::Send);
    session.unsent(std::iter::once(&reply(2)[..]), now);
    let told = values(&session.lost(now));
    assert!(told.iter().all(|value| value["method"] == "notifications/cancelled"), "{told:?}");
    let withdrawn: Vec<_> = told.iter().map(|value| value["params"]["requestId"].as_u64()).collect();
    assert_eq!(withdrawn, [Some(1), Some(3)]);
    // The client may have answered before it heard that.
    assert_eq!(session.up(&reply(3), now), Up::Kept);
    assert_eq!(resume(&mut session, now), Vec::<Vec<u8>>::new());
    assert_eq!(session.down(&question(71)), Down::Forward);
    assert_eq!(session.up(&reply(1), now), Up::Kept);
    // A batch goes whole: the daemon knows what it has asked.
    let batch = [b"[", &reply(1)[..], b",", &reply(71), b"]"].concat();
    assert_eq!(session.up(&batch, now), Up::Send);
    assert_eq!(session.lost(now), b"");
    assert!(session.idle());
}
