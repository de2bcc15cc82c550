//! One request and its answer, be it a JSON document or a stream of events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exai_proto::answer::Failure;
use exai_proto::limits::MESSAGE_BYTES;
use exai_supervisor::Line;
use hyper::StatusCode;
use hyper::header;
use tokio::time::{sleep, timeout};

use super::events::{self, Events};
use super::lookout::Listens;
use super::session::{Session, answers, complaint};
use super::wire::{Answer, Failed, gone, taken};

/// How much of an error's text is looked at, in bytes; and how much is shown, in characters.
pub(super) const ERROR: usize = 64 * 1024;
const SHOWN: usize = 200;
/// How long a stream may take to end after the answer; its connection can be used again then.
const END: Duration = Duration::from_millis(100);
/// How long it may take until it is known that the server has ended, once a connection broke off.
const MOMENT: Duration = Duration::from_millis(300);
/// How long to wait before asking for the rest of a stream: unless the server says so, and at most.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// How often in a row the rest of a stream is asked for when nothing new comes.
const TRIES: u32 = 5;

/// Sends a request and passes on what the server says to it. There is always an answer, or the instance ends.
pub(super) async fn request(session: Arc<Session>, number: u64, message: Bytes) {
    let outcome = match session.post(message).await {
        Ok(answer) => read(&session, number, answer).await,
        Err(failed) => Err(failed),
    };
    let Err(failed) = outcome else { return };
    match failed {
        Failed::Forsaken(reason) => {
            session.fail(number, Failure::ServerUnavailable, &reason).await;
            session.give_up(reason);
        }
        Failed::Unsent(reason) => {
            session.fail(number, Failure::ServerUnavailable, &reason).await;
            check(&session).await;
        }
        Failed::Lost(reason) => {
            // When the server has crashed, that is the better answer, and it comes from the router.
            sleep(MOMENT).await;
            if check(&session).await {
                let text = format!("broke off before it answered ({reason})");
                session.fail(number, Failure::OutcomeUnknown, &text).await;
            }
        }
    }
}

/// Whether the server is still there. If it is not, that is its end.
pub(super) async fn check(session: &Session) -> bool {
    match session.wire.look().await {
        Listens::Own(_) => return true,
        Listens::Nobody => session.give_up(gone(session.wire.lookout.addrs())),
        Listens::Stranger(who) => session.give_up(taken(&who)),
    }
    false
}

async fn read(session: &Session, number: u64, mut answer: Answer) -> Result<(), Failed> {
    let status = answer.head.status();
    if status == StatusCode::NOT_FOUND && session.has_id() {
        let text = "has ended its session; a new one is begun";
        session.fail(number, Failure::ServerUnavailable, text).await;
        session.give_up("has ended its session".to_owned());
        return Ok(());
    }
    if status.is_success() && is(&answer, "text/event-stream") {
        return stream(session, number, answer).await;
    }
    let limit = if status.is_success() { MESSAGE_BYTES } else { ERROR };
    let (body, too_long) = answer.all(limit).await?;
    let body = Bytes::from(body);
    if too_long && status.is_success() {
        session.say(Line::TooLong(body.slice(..ERROR))).await;
    } else if answers(&body, number) {
        if status.is_success() {
            session.opened_by(&answer, &body);
        }
        session.say(Line::Whole(body)).await;
    } else {
        let text = format!("answered HTTP {status}{}", explanation(&body));
        // What was refused was not carried out. Of what failed nobody knows.
        let failure =
            if status.is_client_error() { Failure::ServerUnavailable } else { Failure::OutcomeUnknown };
        session.fail(number, failure, &text).await;
    }
    if !too_long {
        answer.done();
    }
    Ok(())
}

/// What the server says about an error, if that is short enough to be shown.
pub(super) fn explanation(body: &Bytes) -> String {
    let text = complaint(body).unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    let shown: String = text.chars().filter(|one| !one.is_control()).take(SHOWN).collect();
    if shown.is_empty() { " without a message".to_owned() } else { format!(": {shown}") }
}

pub(super) fn is(answer: &Answer, media: &str) -> bool {
    let kind = answer.head.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media))
}

/// Reads the stream of a request until it is answered. When it breaks off and its events were numbered, the
/// rest is asked for.
async fn stream(session: &Session, number: u64, mut answer: Answer) -> Result<(), Failed> {
    let mut events = Events::new(MESSAGE_BYTES);
    let mut tries = 0;
    loop {
        let mut found = Vec::new();
        let why = match answer.next().await {
            Ok(Some(bytes)) => {
                events.take(&bytes, &mut found);
                None
            }
            Ok(None) => Some(Failed::Lost("the stream ended".to_owned())),
            Err(failed) => Some(failed),
        };
        for event in found {
            tries = 0;
            if pass_on(session, event, Some((number, &answer))).await {
                if let Ok(true) = timeout(END, rest(&mut answer)).await {
                    answer.done();
                }
                return Ok(());
            }
        }
        let Some(why) = why else { continue };
        let Some(last) = events.last_id.clone() else { return Err(why) };
        tries += 1;
        if tries > TRIES {
            return Err(why);
        }
        sleep(pause(&events)).await;
        answer = session.listen(Some(&last)).await?;
        if !answer.head.status().is_success() || !is(&answer, "text/event-stream") {
            return Err(why);
        }
        events = events.resumed();
    }
}

/// How long to wait before asking for the rest.
pub(super) fn pause(events: &Events) -> Duration {
    events.retry.map_or(RETRY, Duration::from_millis).min(LONGEST_RETRY)
}

async fn rest(answer: &mut Answer) -> bool {
    loop {
        match answer.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Passes an event on; true when it answers the request.
pub(super) async fn pass_on(session: &Session, event: events::Event, to: Option<(u64, &Answer)>) -> bool {
    match event {
        events::Event::Message(text) => {
            let text = Bytes::from(text);
            let answered = to.is_some_and(|(number, _)| answers(&text, number));
            if let Some((_, answer)) = to.filter(|_| answered) {
                session.opened_by(answer, &text);
            }
            session.say(Line::Whole(text)).await;
            answered
        }
        events::Event::TooLong(start) => {
            let start = Bytes::from(start);
            let answered = to.is_some_and(|(number, _)| {
                exai_proto::envelope::peek_id(&start).is_some_and(|id| id == exai_proto::Id::number(number))
            });
            session.say(Line::TooLong(start)).await;
            answered
        }
    }
}
