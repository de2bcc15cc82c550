//! Streamable HTTP of the revision 2026-07-28, on the same paths as that of the legacy era.
//!
//! Each POST stands for itself: there is no session, and no GET or DELETE. Its answer is a document with the status that
//! the specification names, or an event stream that ends with it. A client that closes a stream has cancelled the request.
//! In HTTP/1.1 it closes the connection with it, so the client that the hub knows is the connection.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use exai_mux::Endpoint;
use exai_os::clock;
use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::{Id, Kind, Message};

use crate::client::inbound::Inbound;
use crate::core::event::{HubGone, Question};
use crate::front::access;
use crate::front::http_answers::{PostAnswer, ask_the_next_daemon, fail, find_post_answer, json, stopping};
use crate::front::http_client::{ConnectionClients, HttpClient, Unheard, send_messages};
use crate::front::modern_headers::{self, Refusal};
use crate::front::state::{AppState, RequestConnection};

/// An answer that takes longer than this is streamed, and its status is 200 then whatever it says. So this is as long as a
/// client can be left without the head of a response.
const PLAIN_ANSWER_TIMEOUT: Duration = Duration::from_millis(200);

/// Answers a POST with messages of which one is of the modern era.
pub(crate) async fn handle_post(
    state: &AppState,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    (connection, clients): (RequestConnection, ConnectionClients),
    inbound: Inbound,
) -> Response {
    let Ok([message]) = <[Message; 1]>::try_from(inbound.messages) else { return refuse_batch() };
    if inbound.has_batch {
        return refuse_batch();
    }
    let id = match message.kind() {
        Kind::Request { id, .. } => Id::from_json(message.at(id)),
        // The end of a stream is the cancellation of its request, and there are no other notifications of clients.
        Kind::Notification { .. } => return StatusCode::ACCEPTED.into_response(),
        Kind::Response { .. } => {
            return fail(StatusCode::BAD_REQUEST, -32600, "clients of this revision send no responses");
        }
    };
    if let Err(refusal) = modern_headers::check_request(headers, &message) {
        return refuse(&id, &refusal);
    }
    let Ok(client) = clients.find_or_open(state, endpoint, &connection.holder).await else {
        return stopping();
    };
    match check_arguments(state, &client, headers, &message).await {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => return refuse(&id, &refusal),
        Err(HubGone) => return stopping(),
    }
    let session = client.session();
    session.record_request(None, clock::now());
    let whole_meta = modern_headers::has_whole_meta(&message);
    let (ids, said) = ([id], (vec![message], inbound.claim));
    match send_messages(state, session, connection.disconnect.0, &ids, said).await {
        Ok(deliveries) => match find_post_answer(deliveries, 1, PLAIN_ANSWER_TIMEOUT).await {
            PostAnswer::Answer(bytes) => json(modern_headers::status(&bytes, whole_meta), bytes),
            PostAnswer::Refused(bytes) => ask_the_next_daemon(bytes),
            PostAnswer::Stream(response) => response,
        },
        Err(Unheard::InUse) => {
            let text = "a request with this id is under way";
            json(StatusCode::BAD_REQUEST, answer::error(&ids[0], -32600, text))
        }
        // Removed since the request was let in.
        Err(Unheard::Closed | Unheard::TooLate) if session.holder.is_revoked() => {
            access::refuse(StatusCode::UNAUTHORIZED, "the token was removed")
        }
        Err(Unheard::Closed | Unheard::TooLate) => {
            let data = FailureData::new(Source::Daemon, Failure::DaemonUnavailable);
            ask_the_next_daemon(answer::failure(&ids[0], "the daemon is stopping", &data))
        }
    }
}

fn refuse_batch() -> Response {
    fail(StatusCode::BAD_REQUEST, -32600, "a POST of this revision carries one message")
}

fn refuse(id: &Id, refusal: &Refusal) -> Response {
    json(StatusCode::BAD_REQUEST, answer::error(id, refusal.code, &refusal.text))
}

/// Checks the headers that repeat arguments of the tool that is called. The hub knows which these are; it is not asked
/// before each call as long as no tool has such arguments.
async fn check_arguments(
    state: &AppState,
    client: &HttpClient,
    headers: &HeaderMap,
    message: &Message,
) -> Result<Result<(), Refusal>, HubGone> {
    let Some(tool) = modern_headers::called_tool(message).filter(|_| state.hub.marks_arguments()) else {
        return Ok(Ok(()));
    };
    let client = client.session().client;
    let known = state.hub.ask(|reply| Question::ParameterHeaders { client, tool, reply }).await?;
    Ok(known.map_or(Ok(()), |known| modern_headers::check_arguments(headers, message, &known)))
}
