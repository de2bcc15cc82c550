//! One request and its answer, which is a JSON document or an event stream.

use std::sync::Arc;

use bytes::Bytes;
use exai_proto::Id;
use exai_proto::answer::{self, Failure};
use exai_proto::limits::MESSAGE_BYTES;
use exai_supervisor::Line;
use hyper::StatusCode;
use tokio::time::sleep;

use super::answer::{Answer, BrokenOff};
use super::answer_stream::stream;
use super::connect::Failed;
use super::outgoing::{Asked, Outgoing, Role};
use super::repetition::{asks_for_repetition, learn_tools};
use super::session::{ServerSession, answer_to, complaint, keeps_method};
use crate::limits::{MAX_ERROR_BODY_BYTES, MAX_SHOWN_ERROR_CHARS, SERVER_END_TIMEOUT};
use crate::upstream::server_output::{self, Garbled, Said};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What became of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Passed {
    /// The router has it, or the instance has failed.
    On,
    /// It refuses what the same request will do better the next time.
    Repeat,
}

/// Sends a request and passes on what the server answers. There is always an answer, or the instance fails.
pub(super) async fn request(session: Arc<ServerSession>, outgoing: Outgoing) {
    if request_once(&session, outgoing.clone(), true).await == Passed::Repeat {
        if outgoing.asked.role == Role::CallTool {
            learn_tools(&session, &outgoing).await;
        }
        request_once(&session, outgoing, false).await;
    }
}

async fn request_once(session: &ServerSession, outgoing: Outgoing, may_repeat: bool) -> Passed {
    let asked = outgoing.asked;
    let number = asked.number;
    match session.ask(outgoing).await {
        Ok(answer) => match read(session, asked, answer, may_repeat).await {
            Ok(passed) => return passed,
            // Whatever lies between cuts a quiet stream after a while. The router asks again.
            Err(BrokenOff(_)) if asked.role == Role::Listen => {
                session.say(Line::Whole(answer::result(&Id::number(number), b"{}"))).await;
            }
            Err(BrokenOff(reason)) => broken_off(session, number, &reason).await,
        },
        Err(Failed::Lost(reason)) => broken_off(session, number, &reason).await,
        Err(Failed::Forsaken(reason)) => {
            session.fail(number, Failure::ServerUnavailable, &reason).await;
            session.give_up(reason);
        }
        Err(Failed::Unsent(reason)) => {
            session.fail(number, Failure::ServerUnavailable, &reason).await;
            check(session).await;
        }
    }
    Passed::On
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

async fn read(
    session: &ServerSession,
    asked: Asked,
    mut answer: Answer,
    may_repeat: bool,
) -> Result<Passed, BrokenOff> {
    let (status, number) = (answer.head.status(), asked.number);
    if status == StatusCode::NOT_FOUND && !asked.role.is_modern() && session.has_id() {
        let text = "has ended its session; a new one is begun";
        session.fail(number, Failure::ServerUnavailable, text).await;
        session.give_up("has ended its session".to_owned());
        return Ok(Passed::On);
    }
    if status.is_redirection() {
        let text = "redirects to another place, where nothing is sent; correct its `url`";
        session.fail(number, refusal(status), text).await;
        return Ok(Passed::On);
    }
    if status.is_success() && answer.is_event_stream() {
        stream(session, asked, answer).await?;
        return Ok(Passed::On);
    }
    let limit = if status.is_success() { MESSAGE_BYTES } else { MAX_ERROR_BODY_BYTES };
    let (body, too_long) = answer.all(limit).await?;
    let body = Bytes::from(body);
    // Readers of documents skip it; readers of lines do not.
    let body = body.strip_prefix(BOM).map_or_else(|| body.clone(), |rest| body.slice_ref(rest));
    let mut passed = Passed::On;
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
        if may_repeat && asks_for_repetition(asked, &found) {
            passed = Passed::Repeat;
        } else {
            session.say_answer(asked, found).await;
        }
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
    Ok(passed)
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

#[cfg(test)]
mod tests {
    use super::*;

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
