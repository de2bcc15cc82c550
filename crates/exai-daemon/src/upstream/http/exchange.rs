//! One request and its answer, which is a JSON document or an event stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exai_proto::Id;
use exai_proto::answer::{self, Failure};
use exai_proto::limits::MESSAGE_BYTES;
use exai_supervisor::Line;
use hyper::StatusCode;
use hyper::header;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, BrokenOff};
use super::connect::Failed;
use super::event_stream::{self, Events};
use super::outgoing::{Asked, Outgoing, Role};
use super::session::{ServerSession, answer_to, complaint, keeps_method};
use crate::limits::{
    MAX_BARREN_RETRIES, MAX_BARREN_RETRY_INTERVAL, MAX_ERROR_BODY_BYTES, MAX_SHOWN_ERROR_CHARS,
    MAX_STREAM_RETRY_INTERVAL, MIN_STREAM_RETRY_INTERVAL, SERVER_END_TIMEOUT, STREAM_END_TIMEOUT,
    STREAM_RETRY_INTERVAL,
};
use crate::upstream::server_output::{self, Garbled, Said};
use exai_proto::backoff::Backoff;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Sends a request and passes on what the server answers. There is always an answer, or the instance fails.
pub(super) async fn request(session: Arc<ServerSession>, outgoing: Outgoing) {
    let asked = outgoing.asked;
    let number = asked.number;
    match session.ask(outgoing).await {
        Ok(answer) => match read(&session, asked, answer).await {
            Ok(()) => {}
            // Whatever lies between cuts a quiet stream after a while. The router asks again.
            Err(BrokenOff(_)) if asked.role == Role::Listen => {
                session.say(Line::Whole(answer::result(&Id::number(number), b"{}"))).await;
            }
            Err(BrokenOff(reason)) => broken_off(&session, number, &reason).await,
        },
        Err(Failed::Lost(reason)) => broken_off(&session, number, &reason).await,
        Err(Failed::Forsaken(reason)) => {
            session.fail(number, Failure::ServerUnavailable, &reason).await;
            session.give_up(reason);
        }
        Err(Failed::Unsent(reason)) => {
            session.fail(number, Failure::ServerUnavailable, &reason).await;
            check(&session).await;
        }
    }
}

/// Answers that the outcome is unknown: the server may have carried the request out.
async fn broken_off(session: &ServerSession, number: u64, reason: &str) {
    // If the server has crashed, the router gives a better answer.
    sleep(SERVER_END_TIMEOUT).await;
    if check(session).await {
        let text = format!("broke off before it answered ({reason}); the request may have been carried out");
        session.fail(number, Failure::OutcomeUnknown, &text).await;
    }
}

/// Checks whether the server may still be spoken to. If not, the instance fails.
pub(super) async fn check(session: &ServerSession) -> bool {
    let checked = session.client.check().await;
    let may_be_spoken_to = checked.is_ok();
    if let Err(reason) = checked {
        session.give_up(reason);
    }
    may_be_spoken_to
}

async fn read(session: &ServerSession, asked: Asked, mut answer: Answer) -> Result<(), BrokenOff> {
    let (status, number) = (answer.head.status(), asked.number);
    if status == StatusCode::NOT_FOUND && !asked.role.is_modern() && session.has_id() {
        let text = "has ended its session; a new one is begun";
        session.fail(number, Failure::ServerUnavailable, text).await;
        session.give_up("has ended its session".to_owned());
        return Ok(());
    }
    if status.is_redirection() {
        let text = "redirects to another place, where nothing is sent; correct its `url`";
        session.fail(number, refusal(status), text).await;
        return Ok(());
    }
    if status.is_success() && is(&answer, "text/event-stream") {
        return stream(session, asked, answer).await;
    }
    let limit = if status.is_success() { MESSAGE_BYTES } else { MAX_ERROR_BODY_BYTES };
    let (body, too_long) = answer.all(limit).await?;
    let body = Bytes::from(body);
    // Readers of documents skip it; readers of lines do not.
    let body = body.strip_prefix(BOM).map_or_else(|| body.clone(), |rest| body.slice_ref(rest));
    if status == StatusCode::UNAUTHORIZED {
        // Its body may be an error of JSON-RPC, and says nothing of the server.
        let text = format!(
            "asks for a sign-in (HTTP 401){}; set `Authorization` in its `headers`",
            explanation(&body)
        );
        session.fail(number, refusal(status), &text).await;
    } else if too_long && status.is_success() {
        session.say(Line::TooLong(body.slice(..MAX_ERROR_BODY_BYTES))).await;
    } else if let Some(found) = answer_to(&body, number) {
        if status.is_success() {
            session.note_answer(asked, &answer, &found);
        }
        session.say(Line::Whole(found)).await;
    } else if session.is_probe(asked) && has_no_modern_era(status) {
        let text = format!("HTTP {status}{}", explanation(&body));
        session.say(Line::Whole(answer::error(&Id::number(number), -32601, &text))).await;
    } else if status.is_success() && !body.is_empty() && complaint(&body).is_none() {
        session.garbled(number, in_place_of_an_answer(&body)).await;
    } else {
        let text = format!("answered HTTP {status}{}", explanation(&body));
        session.fail(number, refusal(status), &text).await;
    }
    if !too_long {
        answer.done();
    }
    Ok(())
}

/// Whether a server that answers `server/discover` so does not know it: servers of the legacy era refuse a request that
/// belongs to no session. What asks for a sign-in, or is broken, says nothing of the era.
fn has_no_modern_era(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 405 | 406 | 415 | 422 | 501)
}

/// What a document is that answers no request.
fn in_place_of_an_answer(body: &Bytes) -> Garbled {
    let mut said = Vec::new();
    server_output::read(body, &mut said);
    match said.pop() {
        Some(Said::Garbled(garbled)) => garbled,
        Some(Said::Message(_) | Said::Text(_)) | None => {
            let fault = "it does not answer the request that it is the response to".to_owned();
            Garbled { id: None, asks: false, fault, start: server_output::visible(body) }
        }
    }
}

/// Whether a status means that the request was refused before it was read, or that its outcome is unknown.
fn refusal(status: StatusCode) -> Failure {
    match status.as_u16() {
        400 | 401 | 403..=407 | 411 | 413..=415 | 417 | 421 | 426 | 428 | 429 | 431 => {
            Failure::ServerUnavailable
        }
        _ if keeps_method(status) => Failure::ServerUnavailable,
        _ => Failure::OutcomeUnknown,
    }
}

/// The text of an error, if it is short enough to be shown.
pub(super) fn explanation(body: &Bytes) -> String {
    let text = complaint(body).unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    let shown: String = text.chars().filter(|one| !one.is_control()).take(MAX_SHOWN_ERROR_CHARS).collect();
    if shown.is_empty() { " without a message".to_owned() } else { format!(": {shown}") }
}

pub(super) fn is(answer: &Answer, media: &str) -> bool {
    let kind = answer.head.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media))
}

/// Reads the event stream of a request until its answer. If the stream breaks off and its events have ids, the rest is
/// asked for.
async fn stream(session: &ServerSession, asked: Asked, mut answer: Answer) -> Result<(), BrokenOff> {
    let mut events = Events::new(MESSAGE_BYTES);
    let mut pauses = Pauses::default();
    loop {
        let mut found = Vec::new();
        let why = match answer.next().await {
            Ok(Some(bytes)) => {
                events.take(&bytes, &mut found);
                None
            }
            Ok(None) => Some(BrokenOff("the stream ended".to_owned())),
            Err(why) => Some(why),
        };
        for event in found {
            pauses.heard();
            if pass_on(session, event, Some((asked, &answer))).await {
                if let Ok(true) = timeout(STREAM_END_TIMEOUT, rest(&mut answer)).await {
                    answer.done();
                }
                return Ok(());
            }
        }
        if let Some(why) = why {
            answer = resume(session, &events, &mut pauses).await.ok_or(why)?;
            events = events.resumed();
        }
    }
}

/// Asks for the rest of a stream that broke off. `None` when the server does not have it.
async fn resume(session: &ServerSession, events: &Events, pauses: &mut Pauses) -> Option<Answer> {
    let last = events.last_id.as_deref()?;
    loop {
        if pauses.in_a_row == MAX_BARREN_RETRIES {
            return None;
        }
        sleep(pauses.next(events.retry)).await;
        match session.listen(Some(last)).await {
            Ok(answer) if answer.head.status().is_success() && is(&answer, "text/event-stream") => {
                return Some(answer);
            }
            // The server may be in trouble for a moment.
            Ok(answer) if answer.head.status().is_server_error() => {}
            Ok(_) => return None,
            Err(Failed::Unsent(_) | Failed::Lost(_)) => {}
            Err(Failed::Forsaken(reason)) => {
                session.give_up(reason);
                return None;
            }
        }
    }
}

/// The pauses before the rest of a stream is asked for again. The server may name a pause. A server that says nothing new
/// is asked less and less often; otherwise it could make the daemon ask without end.
#[derive(Debug)]
pub(super) struct Pauses {
    /// How often in a row nothing new came.
    in_a_row: u32,
    /// The shortest pause that the server may name.
    shortest: Backoff,
}

impl Default for Pauses {
    fn default() -> Self {
        let shortest = Backoff::doubling(MIN_STREAM_RETRY_INTERVAL, MAX_BARREN_RETRY_INTERVAL);
        Pauses { in_a_row: 0, shortest }
    }
}

impl Pauses {
    /// Notes that something new came.
    pub(super) fn heard(&mut self) {
        *self = Pauses::default();
    }

    /// The next pause. `wish` is the pause that the server named, in milliseconds.
    pub(super) fn next(&mut self, wish: Option<u64>) -> Duration {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let least = self.shortest.next_delay();
        wish.map_or(STREAM_RETRY_INTERVAL, Duration::from_millis).max(least).min(MAX_STREAM_RETRY_INTERVAL)
    }
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

/// Passes an event on. Returns true when the event answers the request.
pub(super) async fn pass_on(
    session: &ServerSession,
    event: event_stream::Event,
    to: Option<(Asked, &Answer)>,
) -> bool {
    match event {
        event_stream::Event::Message(text) => {
            let text = Bytes::from(text);
            let Some((asked, answer)) = to else {
                session.say(Line::Whole(text)).await;
                return false;
            };
            let number = asked.number;
            if let Some(found) = answer_to(&text, number) {
                session.note_answer(asked, answer, &found);
                session.say(Line::Whole(found)).await;
                return true;
            }
            let mut said = Vec::new();
            server_output::read(&text, &mut said);
            if let [Said::Garbled(garbled)] = &said[..]
                && !garbled.asks
            {
                session.garbled(number, garbled.clone()).await;
                return true;
            }
            session.say(Line::Whole(text)).await;
            false
        }
        event_stream::Event::TooLong(start) => {
            let start = Bytes::from(start);
            let answered = to.is_some_and(|(asked, _)| {
                exai_proto::envelope::peek_id(&start).is_some_and(|id| id == Id::number(asked.number))
            });
            session.say(Line::TooLong(start)).await;
            answered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_be_asked_at_once_is_asked_less_often_while_it_says_nothing() {
        let mut pauses = Pauses::default();
        let given: Vec<u128> = (0..9).map(|_| pauses.next(Some(0)).as_millis()).collect();
        assert_eq!(given, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        pauses.heard();
        assert_eq!(pauses.next(Some(20)), Duration::from_millis(50));
        assert_eq!(pauses.next(Some(700)), Duration::from_millis(700), "its own wish is longer");
        assert_eq!(pauses.next(Some(u64::MAX)), MAX_STREAM_RETRY_INTERVAL);
        assert_eq!(Pauses::default().next(None), STREAM_RETRY_INTERVAL);
    }

    #[test]
    fn only_what_nobody_looked_into_was_refused() {
        let refused = (200..600)
            .filter(|status| StatusCode::from_u16(*status).is_ok_and(|status| !refusal(status).sent()));
        let refused: Vec<u16> = refused.collect();
        let expected =
            [307, 308, 400, 401, 403, 404, 405, 406, 407, 411, 413, 414, 415, 417, 421, 426, 428, 429, 431];
        assert_eq!(refused, expected);
    }
}
