//! Streamable HTTP of the revisions 2025-03-26 to 2025-11-25, on `/mcp` and `/mcp/NAME`. Each POST is looked at on its own:
//! what is of the modern era goes to `http_modern`.
//!
//! A POST that carries requests is answered as plain JSON if the answer is the first message for it, and as an event stream
//! that ends with the last answer otherwise. A lost connection cancels nothing: the specification wants
//! `notifications/cancelled` for that.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exai_mux::Endpoint;
use exai_os::clock;
use exai_proto::answer::Failure;
use exai_proto::envelope::Outcome;
use exai_proto::{Id, Kind, Message, answer, version};

use crate::client::http_sessions::Full;
use crate::client::http_streams::{Delivery, HttpSession, NoStream};
use crate::client::inbound::Inbound;
use crate::client::input_budget::InputClaim;
use crate::client::sink::CloseReason;
use crate::core::event::HubEvent;
use crate::front::access;
use crate::front::http_answers::{
    PostAnswer, endless_events, fail, find_post_answer, json, stopping, try_again,
};
use crate::front::http_client::{ConnectionClients, HttpClient, Unheard, send_messages};
use crate::front::http_modern;
use crate::front::modern_headers::{self, VERSION};
use crate::front::state::{AppState, RequestConnection};

const SESSION: &str = "mcp-session-id";
/// An answer that takes longer than this is streamed: clients wait only so long for the head of a response, and some do
/// nothing else meanwhile.
const PLAIN_ANSWER_TIMEOUT: Duration = Duration::from_millis(20);

/// The response that refuses a request.
type Refusal = Box<Response>;

/// The session that a request names, if it belongs to this endpoint.
fn session(
    state: &AppState,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    connection: &RequestConnection,
) -> Result<(String, Arc<HttpSession>), Refusal> {
    let Some(id) = headers.get(SESSION).and_then(|id| id.to_str().ok()) else {
        let text = "the Mcp-Session-Id header is missing; begin with initialize";
        return Err(Box::new(fail(StatusCode::BAD_REQUEST, -32600, text)));
    };
    match state.sessions.open_sessions().get(id) {
        // Who holds another token has other sessions.
        Some((session, of))
            if of == endpoint && session.holder == connection.holder && !session.is_closed() =>
        {
            session.record_request(connection.caller.clone(), clock::now());
            Ok((id.to_owned(), session.clone()))
        }
        _ => Err(Box::new(no_session())),
    }
}

/// Clients begin a new session on this status. Some do so only with the code that the official servers send.
fn no_session() -> Response {
    fail(
        StatusCode::NOT_FOUND,
        -32001,
        "Session not found: there is none with this id (any more); begin with initialize",
    )
}

/// The answer to a request that came too late for this daemon. The next daemon has other sessions: the client begins one
/// there over another connection, since this one will be closed.
fn too_late() -> Response {
    let mut response = no_session();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(VERSION).map_or(Some(version::HTTP_DEFAULT), |given| given.to_str().ok());
    match given {
        Some(given) if version::is_known_legacy(given) => Ok(()),
        _ => Err(Box::new(fail(StatusCode::BAD_REQUEST, -32600, "unsupported MCP-Protocol-Version"))),
    }
}

fn id_of(message: &Message) -> Option<Id> {
    match message.kind() {
        Kind::Request { id, .. } => Some(Id::from_json(message.at(id))),
        Kind::Notification { .. } | Kind::Response { .. } => None,
    }
}

fn is_initialize(message: &Message) -> bool {
    matches!(message.kind(), Kind::Request { method, .. } if message.str_at(method) == "initialize")
}

/// `POST`: messages of the client.
pub(crate) async fn handle_post(
    state: AppState,
    endpoint: Endpoint,
    headers: HeaderMap,
    (connection, clients): (RequestConnection, ConnectionClients),
    (body, claim): (Bytes, InputClaim),
) -> Response {
    let mut inbound = Inbound { claim, ..Inbound::default() };
    // A body that is not UTF-8 is refused like any other that is no message.
    let _ = state.message_checks.check_input(&mut inbound, body).await;
    if let Some(refusal) = inbound.refusals.first() {
        return json(StatusCode::BAD_REQUEST, refusal.clone());
    }
    if inbound.messages.iter().any(|message| modern_headers::is_modern(&headers, message)) {
        let connection = (connection, clients);
        return http_modern::handle_post(&state, &endpoint, &headers, connection, inbound).await;
    }
    if inbound.messages.iter().any(is_initialize) {
        if inbound.messages.len() > 1 {
            return fail(StatusCode::BAD_REQUEST, -32600, "initialize must stand alone");
        }
        return begin_session(state, endpoint, connection, inbound).await;
    }
    let found = session(&state, &endpoint, &headers, &connection)
        .and_then(|found| check_version(&headers).map(|()| found));
    match found {
        Ok((_, session)) => exchange(&state, &session, connection, inbound).await,
        Err(response) => *response,
    }
}

/// Sends messages to the hub and waits for what there is to answer.
async fn exchange(
    state: &AppState,
    session: &HttpSession,
    connection: RequestConnection,
    inbound: Inbound,
) -> Response {
    let ids: Vec<Id> = inbound.messages.iter().filter_map(id_of).collect();
    let messages = (inbound.messages, inbound.claim);
    match send_messages(state, session, connection.disconnect.0, &ids, messages).await {
        Ok(_) if ids.is_empty() => StatusCode::ACCEPTED.into_response(),
        Ok(deliveries) => match find_post_answer(deliveries, ids.len(), PLAIN_ANSWER_TIMEOUT).await {
            PostAnswer::Answer(bytes) => json(StatusCode::OK, bytes),
            PostAnswer::Refused(_) => too_late(),
            PostAnswer::Stream(response) => response,
        },
        Err(Unheard::InUse) => fail(StatusCode::BAD_REQUEST, -32600, "a request with this id is under way"),
        Err(Unheard::Closed) => no_session(),
        Err(Unheard::TooLate) => too_late(),
    }
}

/// `initialize`: opens a session. It stays open only if the server accepts.
async fn begin_session(
    state: AppState,
    endpoint: Endpoint,
    connection: RequestConnection,
    inbound: Inbound,
) -> Response {
    let Inbound { messages, claim, .. } = inbound;
    state.sessions.forget_closed();
    if !state.sessions.has_room() {
        return full();
    }
    // Closed if this future is dropped because the client has gone.
    let Ok(client) = HttpClient::open(&state, &endpoint, &connection.holder, false).await else {
        return stopping();
    };
    let session = client.session().clone();
    session.record_request(connection.caller, clock::now());
    let ids: Vec<Id> = messages.iter().filter_map(id_of).collect();
    let mut deliveries = match session.open_post_stream(&ids, connection.disconnect.0) {
        Ok(deliveries) => deliveries,
        Err(NoStream::Closed) => return not_begun(&session),
        Err(NoStream::InUse) => {
            let text = "BUG: a new session has requests under way";
            return fail(StatusCode::INTERNAL_SERVER_ERROR, -32603, text);
        }
    };
    let turn = session.turns.next().await;
    if state.hub.send(HubEvent::Said { client: session.client, messages, claim, turn }).await.is_err() {
        return stopping();
    }
    // The session id goes into the head, so this answer is never streamed.
    let answer = loop {
        match deliveries.next().await {
            Some(Delivery::Answer(bytes)) => break bytes,
            Some(Delivery::Aside(_)) => {}
            Some(Delivery::Refused(_)) | None => return not_begun(&session),
        }
    };
    let accepted = Message::parse(answer.clone().into_whole())
        .is_ok_and(|message| matches!(message.kind(), Kind::Response { outcome: Outcome::Result(_), .. }));
    let mut response = json(StatusCode::OK, answer);
    if accepted {
        let id = crate::state::token::random_hex::<16>();
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(SESSION, value);
        }
        match state.sessions.insert_session(id, session, endpoint) {
            Ok(None) => {}
            Ok(Some(evicted)) => {
                // A hub that has ended has disconnected all clients.
                let _ = state.hub.send(HubEvent::Close { client: evicted, why: CloseReason::MadeRoom }).await;
            }
            Err(Full) => return full(),
        }
        client.keep();
    }
    response
}

/// The answer to `initialize` if the hub has closed the session at once.
fn not_begun(session: &HttpSession) -> Response {
    if session.holder.is_revoked() {
        return access::refuse(StatusCode::UNAUTHORIZED, "the token was removed");
    }
    stopping()
}

fn full() -> Response {
    let text = "256 sessions are open, and each of them has a stream open";
    try_again(answer::error(&Id::null(), Failure::Overloaded.code(), text))
}

/// `GET`: the event stream for messages that belong to no request.
pub(crate) fn handle_get(
    state: &AppState,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    connection: RequestConnection,
) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/event-stream") {
        let text = "a GET must accept text/event-stream\n";
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, POST, DELETE")], text)
            .into_response();
    }
    let session = match session(state, endpoint, headers, &connection)
        .and_then(|found| check_version(headers).map(|()| found))
    {
        Ok((_, session)) => session,
        Err(response) => return *response,
    };
    let messages = match session.open_get_stream(connection.disconnect.0) {
        Ok(messages) => messages,
        Err(NoStream::InUse) => {
            return fail(StatusCode::CONFLICT, -32600, "this session has a GET stream already");
        }
        Err(NoStream::Closed) => return no_session(),
    };
    endless_events(messages)
}

/// `DELETE`: the client ends its session.
pub(crate) async fn handle_delete(
    state: AppState,
    endpoint: Endpoint,
    headers: HeaderMap,
    connection: RequestConnection,
) -> Response {
    match session(&state, &endpoint, &headers, &connection) {
        Ok((id, session)) => {
            // The session is closed first: whatever becomes of this request, the hub notices.
            session.close(false);
            state.sessions.open_sessions().remove(&id);
            match state.hub.send(HubEvent::Close { client: session.client, why: CloseReason::Left }).await {
                Ok(()) => StatusCode::OK.into_response(),
                Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
        Err(response) => *response,
    }
}
