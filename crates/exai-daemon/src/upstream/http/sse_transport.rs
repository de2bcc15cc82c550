//! The HTTP+SSE transport of MCP 2024-11-05, which servers elsewhere still have: an event stream on which the server says
//! everything, and whose first event names the endpoint that messages are posted to. There is no session besides the stream.
//!
//! It is tried when a server refuses the POST of `initialize` as one that knows no Streamable HTTP does.

use std::future::Future;

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::limits::MESSAGE_BYTES;
use exai_proto::{Id, Kind, envelope};
use exai_supervisor::Line;
use hyper::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, BrokenOff};
use super::connect::Failed;
use super::endpoint::{WrongEndpoint, resolve};
use super::event_stream::{Event, Events};
use super::explanation::ask_for_sign_in;
use super::open_stream::OpenStream;
use super::outgoing::Asked;
use super::session::ServerSession;
use crate::limits::{ACCEPT_TIMEOUT, ENDPOINT_TIMEOUT, MAX_ENDPOINT_BYTES, MAX_ERROR_BODY_BYTES};
use crate::upstream::conversation_event::SignInWanted;
use crate::upstream::server_output::{self, Said};

/// Why a conversation cannot go on over this transport.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoStream {
    /// The server does not speak it.
    Absent,
    /// Nothing is known: the server could not be asked.
    Unknown(String),
    /// The server seems to speak it, and something is wrong. The reason reads after "the server".
    Wrong(String),
    /// The server wants somebody to sign in first.
    SignedOut(SignInWanted),
}

/// Whether a refusal of `initialize` is one of a server that may know no Streamable HTTP. What asks for a sign-in, forbids or
/// is broken is not.
pub(super) fn may_be_spoken(status: StatusCode) -> bool {
    [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status)
}

/// Opens the event stream and learns the endpoint: from now on messages are posted there.
pub(super) async fn begin(session: &ServerSession, asked: Asked) -> Result<(), NoStream> {
    let opened = match open(session).await {
        Ok(answer) => {
            let reading = read_endpoint(session, asked, answer);
            timeout(ENDPOINT_TIMEOUT, reading).await.unwrap_or_else(|_| {
                let limit = ENDPOINT_TIMEOUT.as_secs();
                let text = format!("has an event stream that names no endpoint within {limit} s");
                Err(NoStream::Wrong(text))
            })
        }
        Err(none) => Err(none),
    };
    if let Some(servers) = session.client.sse_servers() {
        match &opened {
            Ok(_) => servers.remember(session.place()),
            Err(NoStream::Unknown(_) | NoStream::SignedOut(_)) => {}
            Err(NoStream::Absent | NoStream::Wrong(_)) => servers.forget(session.place()),
        }
    }
    let (endpoint, stream) = opened?;
    session.post_to(endpoint, stream);
    Ok(())
}

/// Whether the server is known to speak this transport, so that a new session need not find out.
pub(super) fn is_known(session: &ServerSession) -> bool {
    session.client.sse_servers().is_some_and(|servers| servers.knows(session.place()))
}

async fn open(session: &ServerSession) -> Result<Answer, NoStream> {
    let mut answer = match session.open_stream().await {
        Ok(answer) => answer,
        Err(Failed::Unsent(reason) | Failed::Forsaken(reason)) => return Err(NoStream::Unknown(reason)),
        Err(Failed::SignedOut(wanted)) => return Err(NoStream::SignedOut(wanted)),
        Err(Failed::Lost(reason)) => {
            return Err(NoStream::Unknown(format!("broke off before it answered a GET ({reason})")));
        }
    };
    let status = answer.head.status();
    if status.is_success() && answer.is_event_stream() {
        return Ok(answer);
    }
    if status == StatusCode::UNAUTHORIZED {
        let (body, _) = answer.all(MAX_ERROR_BODY_BYTES).await.unwrap_or_default();
        return Err(NoStream::Wrong(ask_for_sign_in(&body.into())));
    }
    if status.is_redirection() {
        let text = "redirects a GET to another place, where nothing is sent; correct its `url`";
        return Err(NoStream::Wrong(text.to_owned()));
    }
    if status == StatusCode::FORBIDDEN || status.is_server_error() {
        return Err(NoStream::Unknown(format!("answered HTTP {status} to a GET")));
    }
    Err(NoStream::Absent)
}

/// Reads an event stream up to the event that names the endpoint.
async fn read_endpoint(
    session: &ServerSession,
    asked: Asked,
    mut answer: Answer,
) -> Result<(String, OpenStream), NoStream> {
    let wrong = |what: &str| NoStream::Wrong(format!("has an event stream that {what}"));
    let mut events = Events::new(MESSAGE_BYTES);
    let mut found = Vec::new();
    while found.is_empty() {
        match answer.next().await {
            Ok(Some(bytes)) => events.take(&bytes, &mut found),
            Ok(None) => return Err(wrong("ended before it named an endpoint")),
            Err(BrokenOff(reason)) => {
                return Err(wrong(&format!("broke off before it named an endpoint ({reason})")));
            }
        }
    }
    let early = found.split_off(1);
    let Some(Event::Endpoint(reference)) = found.pop() else {
        return Err(wrong("does not begin with an endpoint"));
    };
    let reference = std::str::from_utf8(&reference).ok().filter(|text| text.len() <= MAX_ENDPOINT_BYTES);
    let reference = reference.ok_or_else(|| wrong("names no possible endpoint"))?;
    let endpoint = resolve(session.place(), &session.path(), reference).map_err(|error| match error {
        WrongEndpoint::Elsewhere(origin) => wrong(&format!(
            "names an endpoint at {origin}, where nothing is sent: it is not the origin of its `url`"
        )),
        WrongEndpoint::Unusable => wrong("names no possible endpoint"),
    })?;
    Ok((endpoint, OpenStream { asked, answer, events, early }))
}

/// Passes on what the server says on its event stream, once there is one. Returns why the stream is lost, which ends the
/// conversation: nothing of what was missed can be asked for.
pub(super) async fn pass_stream_on(
    session: &ServerSession,
    streams: &mut mpsc::Receiver<OpenStream>,
) -> String {
    let Some(stream) = streams.recv().await else { return std::future::pending().await };
    let OpenStream { asked, mut answer, mut events, early } = stream;
    let mut found = early;
    loop {
        for event in found.drain(..) {
            pass_on(session, asked, event).await;
        }
        match answer.next().await {
            Ok(Some(bytes)) => events.take(&bytes, &mut found),
            Ok(None) => return "has ended its event stream".to_owned(),
            Err(BrokenOff(reason)) => return format!("broke off its event stream ({reason})"),
        }
    }
}

async fn pass_on(session: &ServerSession, initialize: Asked, event: Event) {
    match event {
        Event::Message(text) => {
            let text = Bytes::from(text);
            note_answers(session, initialize, &text);
            session.say(Line::Whole(text)).await;
        }
        Event::TooLong(start) => {
            let start = Bytes::from(start);
            if let Some(number) = envelope::peek_id(&start).and_then(|id| id.as_number()) {
                session.unanswered.note_answer(number);
            }
            session.say(Line::TooLong(start)).await;
        }
        // The endpoint of a session does not change.
        Event::Endpoint(_) => {}
    }
}

/// Notes which requests a text of the server answers.
fn note_answers(session: &ServerSession, initialize: Asked, text: &Bytes) {
    let mut said = Vec::new();
    server_output::read(text, &mut said);
    for one in said {
        let (id, has_result) = match &one {
            Said::Message(message) => match message.kind() {
                Kind::Response { id, outcome } => {
                    (Some(Id::from_json(message.at(id))), matches!(outcome, Outcome::Result(_)))
                }
                Kind::Request { .. } | Kind::Notification { .. } => (None, false),
            },
            Said::Garbled(garbled) if !garbled.asks => (garbled.id.clone(), false),
            Said::Garbled(_) | Said::Text(_) => (None, false),
        };
        let Some(number) = id.and_then(|id| id.as_number()) else { continue };
        if number == initialize.number && has_result {
            session.note_introduction();
        }
        session.unanswered.note_answer(number);
    }
}

/// Waits until the server has accepted the POST of a request whose answer comes on the event stream. `None` if it has answered
/// there and still accepts nothing: then it is not waited for.
pub(super) async fn until_answered<T>(
    session: &ServerSession,
    asked: Asked,
    exchange: impl Future<Output = T>,
) -> Option<T> {
    let answered = session.unanswered.expect(asked.number);
    tokio::select! {
        outcome = exchange => Some(outcome),
        () = async { answered.wait().await; sleep(ACCEPT_TIMEOUT).await } => None,
    }
}

/// Reads the answer to a POST that was accepted. What it says does not count, and the connection is used again.
pub(super) async fn read_receipt(mut answer: Answer) {
    if let Ok(Ok((_, false))) = timeout(ACCEPT_TIMEOUT, answer.all(MAX_ERROR_BODY_BYTES)).await {
        answer.done();
    }
}
