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
use super::explanation::{REDIRECTS_AWAY, ask_for_sign_in, explanation, shown};
use super::outgoing::{Asked, Outgoing, Role};
use super::repetition::{asks_for_repetition, learn_tools};
use super::session::{AnswersCome, ServerSession, answer_to, complaint, keeps_method};
use super::sse_transport::{self, NoStream};
use crate::limits::{MAX_ERROR_BODY_BYTES, SERVER_END_TIMEOUT};
use crate::upstream::server_output::{self, Garbled, Said};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What became of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Passed {
    /// The router has it, or the instance has failed.
    On,
    /// It refuses what the same request will do better the next time.
    Repeat,
    /// The server refuses to begin a session, perhaps because it speaks the HTTP+SSE transport alone.
    NotBegun(StatusCode, Bytes),
}

/// Sends a request and passes on what the server answers. There is always an answer, or the instance fails.
pub(super) async fn request(session: Arc<ServerSession>, outgoing: Outgoing) {
    let asked = outgoing.asked;
    if asked.role == Role::Initialize && sse_transport::is_known(&session) {
        match sse_transport::begin(&session, asked).await {
            // It may have been replaced by one that speaks Streamable HTTP.
            Ok(()) | Err(NoStream::Absent) => {}
            Err(NoStream::Unknown(reason) | NoStream::Wrong(reason)) => return session.give_up(reason),
            Err(NoStream::SignedOut(wanted)) => return session.fail_signed_out(asked.number, wanted).await,
        }
    }
    match request_once(&session, &outgoing, true).await {
        Passed::On => {}
        Passed::Repeat => {
            if asked.role == Role::CallTool {
                learn_tools(&session, &outgoing).await;
            }
            request_once(&session, &outgoing, false).await;
        }
        Passed::NotBegun(status, body) => {
            let why = match sse_transport::begin(&session, asked).await {
                Ok(()) => {
                    request_once(&session, &outgoing, false).await;
                    return;
                }
                Err(NoStream::Absent) => "has no event stream".to_owned(),
                Err(NoStream::SignedOut(wanted)) => {
                    return session.fail_signed_out(asked.number, wanted).await;
                }
                Err(NoStream::Unknown(reason) | NoStream::Wrong(reason)) => reason,
            };
            let said = shown(&body).map(|text| format!(" ({text})")).unwrap_or_default();
            let text = format!("answered HTTP {status} to a POST{said}, and {why}");
            session.fail(asked.number, refusal(status), &text).await;
        }
    }
}

async fn request_once(session: &ServerSession, outgoing: &Outgoing, may_repeat: bool) -> Passed {
    let asked = outgoing.asked;
    let exchange = ask_and_read(session, outgoing, may_repeat);
    if has_receipt(session, asked) {
        return sse_transport::until_answered(session, asked, exchange).await.unwrap_or(Passed::On);
    }
    exchange.await
}

/// Whether the answer to the POST of this request says no more than that the server has accepted it.
fn has_receipt(session: &ServerSession, asked: Asked) -> bool {
    session.answers_come() == AnswersCome::OnTheStream && !asked.role.is_modern()
}

async fn ask_and_read(session: &ServerSession, outgoing: &Outgoing, may_repeat: bool) -> Passed {
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
        Err(Failed::SignedOut(wanted)) => session.fail_signed_out(number, wanted).await,
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
    if status.is_success() && has_receipt(session, asked) {
        sse_transport::read_receipt(answer).await;
        return Ok(Passed::On);
    }
    if !asked.role.is_modern() && session.is_ended_by(status) {
        let text = "has ended its session; a new one is begun";
        session.fail(number, Failure::ServerUnavailable, text).await;
        session.give_up("has ended its session".to_owned());
        return Ok(Passed::On);
    }
    if status.is_redirection() {
        session.fail(number, refusal(status), REDIRECTS_AWAY).await;
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
        session.fail(number, refusal(status), &ask_for_sign_in(&body)).await;
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
    } else if may_begin_otherwise(session, asked, status) && complaint(&body).is_none() {
        passed = Passed::NotBegun(status, body);
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

/// Whether the session that a server refuses so may begin over the HTTP+SSE transport.
fn may_begin_otherwise(session: &ServerSession, asked: Asked, status: StatusCode) -> bool {
    asked.role == Role::Initialize
        && session.answers_come() == AnswersCome::WithThePost
        && session.client.sse_servers().is_some()
        && sse_transport::may_be_spoken(status)
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
