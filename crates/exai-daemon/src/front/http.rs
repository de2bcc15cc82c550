//! Streamable HTTP of the revisions 2025-03-26 to 2025-11-25, on `/mcp` and `/mcp/NAME`.
//!
//! A POST that carries requests is answered as plain JSON if the answer is the first message for it, and as an event stream
//! that ends with the last answer otherwise. A lost connection cancels nothing: the specification wants
//! `notifications/cancelled` for that.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exai_mux::Endpoint;
use exai_os::clock;
use exai_proto::answer::Failure;
use exai_proto::envelope::Outcome;
use exai_proto::{Id, Kind, Message, Segments, answer, version};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::timeout;

use crate::client::http_sessions::Full;
use crate::client::http_streams::{Deliveries, Delivery, HttpSession, NoStream};
use crate::client::inbound::Inbound;
use crate::client::input_budget::InputClaim;
use crate::client::sink::{ClientTransport, CloseReason, Sink};
use crate::core::event::HubEvent;
use crate::front::state::{AppState, RequestConnection};
use crate::observe::facts::ClientFacts;

const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";
/// How often a silent event stream sends a comment, so that the client sees that it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// An answer that takes longer than this is streamed: clients wait only so long for the head of a response, and some do
/// nothing else meanwhile.
const PLAIN_ANSWER_TIMEOUT: Duration = Duration::from_millis(20);

/// The response that refuses a request.
type Refusal = Box<Response>;

fn fail(status: StatusCode, code: i32, message: &str) -> Response {
    json(status, answer::error(&Id::null(), code, message))
}

fn json(status: StatusCode, document: impl Into<Segments>) -> Response {
    let document = document.into();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CONTENT_LENGTH, document.len().into()),
    ];
    let body = match document.as_whole() {
        Some(whole) => Body::from(whole.clone()),
        None => Body::from_stream(stream::iter(document.into_iter().map(Ok::<Bytes, Infallible>))),
    };
    (status, headers, body).into_response()
}

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
        Some((session, of)) if of == endpoint && !session.is_closed() => {
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

/// The answer to a request that may be served soon.
fn try_again(code: i32, message: &str) -> Response {
    let mut response = fail(StatusCode::SERVICE_UNAVAILABLE, code, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn stopping() -> Response {
    let mut response = try_again(Failure::DaemonUnavailable.code(), "the daemon is stopping");
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
    connection: RequestConnection,
    (body, claim): (Bytes, InputClaim),
) -> Response {
    let mut inbound = Inbound { claim, ..Inbound::default() };
    // A body that is not UTF-8 is refused like any other that is no message.
    let _ = state.message_checks.check_input(&mut inbound, body).await;
    if let Some(refusal) = inbound.refusals.first() {
        return json(StatusCode::BAD_REQUEST, refusal.clone());
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
    let Inbound { messages, claim, .. } = inbound;
    let ids: Vec<Id> = messages.iter().filter_map(id_of).collect();
    // The stream exists before the request is sent, since a fast answer must find it.
    let deliveries = match session.open_post_stream(&ids, connection.disconnect.0) {
        Ok(deliveries) => deliveries,
        Err(NoStream::InUse) => {
            return fail(StatusCode::BAD_REQUEST, -32600, "a request with this id is under way");
        }
        Err(NoStream::Closed) => return no_session(),
    };
    let mut turn = session.turns.next().await;
    let heard = turn.heard();
    if state.hub.send(HubEvent::Said { client: session.client, messages, claim, turn }).await.is_err() {
        return too_late();
    }
    if ids.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    // Only then it is known whether this daemon serves the request.
    if heard.await { answers(deliveries, ids.len()).await } else { too_late() }
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
    let client = state.hub.next_client();
    let session = Arc::new(HttpSession::new(client, clock::now()));
    session.record_request(connection.caller, clock::now());
    let facts = ClientFacts {
        transport: "http",
        label: None,
        shim_pid: None,
        connected_at: jiff::Timestamp::now(),
        shown: true,
    };
    let sink = Sink::new(ClientTransport::Http(session.clone()), None);
    if state.hub.send(HubEvent::Open { client, endpoint: endpoint.clone(), sink, facts }).await.is_err() {
        return stopping();
    }
    // Closes the session if this future is dropped because the client has gone.
    let tentative = Tentative(Some((state.clone(), session.clone())));
    let ids: Vec<Id> = messages.iter().filter_map(id_of).collect();
    let Ok(mut deliveries) = session.open_post_stream(&ids, connection.disconnect.0) else {
        return fail(StatusCode::INTERNAL_SERVER_ERROR, -32603, "BUG: a new session has requests under way");
    };
    let turn = session.turns.next().await;
    if state.hub.send(HubEvent::Said { client, messages, claim, turn }).await.is_err() {
        return stopping();
    }
    // The session id goes into the head, so this answer is never streamed.
    let answer = loop {
        match deliveries.next().await {
            Some(Delivery::Answer(bytes)) => break bytes,
            Some(Delivery::Aside(_)) => {}
            Some(Delivery::Refused(_)) | None => return stopping(),
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
        tentative.keep();
    }
    response
}

fn full() -> Response {
    let text = "256 sessions are open, and each of them has a stream open";
    try_again(Failure::Overloaded.code(), text)
}

/// A session that is closed when it is dropped, unless it is kept.
struct Tentative(Option<(AppState, Arc<HttpSession>)>);

impl Tentative {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Tentative {
    fn drop(&mut self) {
        if let Some((state, session)) = self.0.take() {
            session.close(false);
            state.tasks.spawn(async move {
                // A hub that has ended has no clients.
                let _ =
                    state.hub.send(HubEvent::Close { client: session.client, why: CloseReason::Left }).await;
            });
        }
    }
}

/// The response to a POST with this many requests.
async fn answers(mut deliveries: Deliveries, requests: usize) -> Response {
    let first = match timeout(PLAIN_ANSWER_TIMEOUT, deliveries.next()).await {
        Ok(Some(Delivery::Answer(bytes))) if requests == 1 => return json(StatusCode::OK, bytes),
        Ok(Some(Delivery::Refused(_))) if requests == 1 => return too_late(),
        // The session has ended, or the request was cancelled: an empty event stream.
        Ok(None) => return events(stream::empty()),
        Ok(Some(first)) => Some(first),
        Err(_) => None,
    };
    let begun = Answers { deliveries, open: requests, first };
    events(stream::unfold(begun, |mut answers| async move {
        let event = answers.next().await?;
        Some((event, answers))
    }))
}

struct Answers {
    deliveries: Deliveries,
    /// The number of requests without an answer.
    open: usize,
    first: Option<Delivery>,
}

impl Answers {
    async fn next(&mut self) -> Option<Segments> {
        if self.open == 0 {
            return None;
        }
        let delivery = match self.first.take() {
            Some(delivery) => delivery,
            None => match timeout(KEEP_ALIVE_INTERVAL, self.deliveries.next()).await {
                Ok(delivery) => delivery?,
                Err(_) => return Some(alive()),
            },
        };
        Some(match delivery {
            Delivery::Answer(bytes) | Delivery::Refused(bytes) => {
                self.open -= 1;
                event(bytes)
            }
            Delivery::Aside(bytes) => event(bytes),
        })
    }
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
    events(stream::unfold(messages, |mut messages| async move {
        let event = match timeout(KEEP_ALIVE_INTERVAL, messages.next()).await {
            Ok(delivery) => match delivery? {
                Delivery::Aside(bytes) | Delivery::Answer(bytes) | Delivery::Refused(bytes) => event(bytes),
            },
            Err(_) => alive(),
        };
        Some((event, messages))
    }))
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

fn event(message: Segments) -> Segments {
    message.between(b"event: message\ndata: ", b"\n\n")
}

fn alive() -> Segments {
    Bytes::from_static(b": alive\n\n").into()
}

fn events(stream: impl Stream<Item = Segments> + Send + 'static) -> Response {
    let parts = stream.flat_map(|event| stream::iter(event.into_iter().map(Ok::<Bytes, Infallible>)));
    let body = Body::from_stream(parts);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (StatusCode::OK, headers, body).into_response()
}
