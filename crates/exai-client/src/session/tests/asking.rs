//! What servers ask the client, over more than one link.

use super::*;

fn question(id: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#).into_bytes()
}

fn reply(id: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into_bytes()
}

fn withdrawal(id: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
        .into_bytes()
}

fn instead(line: &[u8]) -> Down {
    Down::Instead(line_of(line))
}

#[test]
fn on_the_first_link_everything_passes() {
    let now = Instant::now();
    let mut session = open(now);
    assert_eq!(session.down(&question("1")), Down::Forward);
    assert_eq!(session.up(&reply("1"), now), Up::Send);
    assert_eq!(session.up(&reply("9"), now), Up::Send);
    assert_eq!(session.down(&question("2")), Down::Forward);
    assert_eq!(session.down(&withdrawal("2")), Down::Forward);
    assert_eq!(session.lost(now), b"");
}

#[test]
fn an_answer_to_a_daemon_that_is_gone_is_never_taken_for_one_to_the_next() {
    let now = Instant::now();
    let mut session = open(now);
    session.down(&question("1"));
    session.down(&question("2"));
    session.down(&question("3"));
    // Written, and not written whole.
    assert_eq!(session.up(&reply("2"), now), Up::Send);
    session.unsent(std::iter::once(&reply("2")[..]), now);
    let told = values(&session.lost(now));
    assert!(told.iter().all(|value| value["method"] == "notifications/cancelled"), "{told:?}");
    let withdrawn: Vec<_> = told.iter().map(|value| value["params"]["requestId"].as_u64()).collect();
    assert_eq!(withdrawn, [Some(1), Some(3)]);
    // The client may have answered before it heard that.
    assert_eq!(session.up(&reply("3"), now), Up::Kept);
    assert_eq!(resume(&mut session, now), Vec::<Vec<u8>>::new());
    // The next daemon counts from 1 as well.
    assert_eq!(session.down(&question("1")), instead(&question("\"exai-1-1\"")));
    assert_eq!(session.down(&question("2")), instead(&question("\"exai-1-2\"")));
    assert_eq!(session.up(&reply("1"), now), Up::Kept);
    assert_eq!(session.up(&reply("\"exai-1-2\""), now), Up::SendThis(reply("2")));
    assert_eq!(session.up(&reply("\"exai-1-2\""), now), Up::Kept, "once is enough");
    let batch = [b"[", &reply("1")[..], b",", &reply("\"exai-1-1\""), b"]"].concat();
    let sent = [b"[", &reply("null")[..], b",", &reply("1"), b"]"].concat();
    assert_eq!(session.up(&batch, now), Up::SendThis(sent));
    // What is withdrawn goes by the same names.
    assert_eq!(session.down(&question("3")), instead(&question("\"exai-1-3\"")));
    assert_eq!(session.down(&withdrawal("3")), instead(&withdrawal("\"exai-1-3\"")));
    assert_eq!(session.down(&withdrawal("3")), Down::Instead(Vec::new()));
    assert_eq!(session.lost(now), b"");
    assert!(session.idle());
    resume(&mut session, now);
    assert_eq!(session.down(&question("1")), instead(&question("\"exai-2-4\"")));
}
