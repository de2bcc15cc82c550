//! Streamable HTTP of the revisions 2025-03-26 to 2025-11-25, on `/mcp` and `/mcp/NAME`.
//!
//! A POST that carries requests is answered as plain JSON if the answer is the first thing there is to say,
//! else as a stream of events that ends with the last answer. A lost connection cancels nothing: the
//! specification wants `notifications/cancelled` for that.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exai_mux::Endpoint;
use exai_proto::{Id, Kind, Message, answer, version};
use futures_util::stream;
use tokio::sync::mpsc;

use crate::door::Rooms;
use crate::hub::HubEvent;
use crate::inbound::Inbound;
use crate::session::{Delivery, Session};
use crate::sink::{Sink, Way};
use crate::status::ClientFacts;

const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";
/// How many sessions there may be.
const MOST_SESSIONS: usize = 256;
/// A session without a stream that has not been used for this long is ended.
const IDLE: Duration = Duration::from_mins(30);
/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The open sessions, by their secret ids. An id is no proof of who one is: the token is asked for besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    open: Arc<Mutex<ById>>,
}

type ById = HashMap<String, (Arc<Session>, Endpoint)>;

/// A response that is the reason to go no further.
type Refusal = Box<Response>;

impl Sessions {
    fn open(&self) -> MutexGuard<'_, ById> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the sessions nobody has used for long, and those the hub has closed.
    fn expired(&self, now: Instant) -> Vec<Arc<Session>> {
        let mut open = self.open();
        let over = |session: &Session| {
            session.is_closed() || session.idle_since().is_some_and(|since| now.duration_since(since) > IDLE)
        };
        let ids: Vec<String> =
            open.iter().filter(|(_, (session, _))| over(session)).map(|(id, _)| id.clone()).collect();
        ids.iter().filter_map(|id| open.remove(id)).map(|(session, _)| session).collect()
    }
}

fn fail(status: StatusCode, code: i32, message: &str) -> Response {
    json(status, answer::error(&Id::null(), code, message))
}

fn json(status: StatusCode, body: Bytes) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The session a request names, if it is one of this endpoint.
fn session(
    rooms: &Rooms,
    endpoint: &Endpoint,
    headers: &HeaderMap,
) -> Result<(String, Arc<Session>), Refusal> {
    let Some(id) = headers.get(SESSION).and_then(|id| id.to_str().ok()) else {
        let text = "the Mcp-Session-Id header is missing; begin with initialize";
        return Err(Box::new(fail(StatusCode::BAD_REQUEST, -32600, text)));
    };
    match rooms.sessions.open().get(id) {
        Some((session, of)) if of == endpoint && !session.is_closed() => {
            session.touch(Instant::now());
            Ok((id.to_owned(), session.clone()))
        }
        _ => {
            let text = "there is no such session (any more); begin with initialize";
            Err(Box::new(fail(StatusCode::NOT_FOUND, -32600, text)))
        }
    }
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
pub(crate) async fn post(rooms: Rooms, endpoint: Endpoint, headers: HeaderMap, body: Bytes) -> Response {
    let mut inbound = Inbound::default();
    inbound.take(body);
    if let Some(refusal) = inbound.refusals.into_iter().next() {
        return json(StatusCode::BAD_REQUEST, refusal);
    }
    let messages = inbound.messages;
    let begins = messages.iter().any(is_initialize);
    if begins && messages.len() > 1 {
        return fail(StatusCode::BAD_REQUEST, -32600, "initialize must stand alone");
    }
    let found = if begins {
        begin(&rooms, endpoint).await
    } else {
        session(&rooms, &endpoint, &headers).and_then(|found| check_version(&headers).map(|()| found))
    };
    let (session_id, session) = match found {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let ids: Vec<Id> = messages.iter().filter_map(id_of).collect();
    // The stream is there before the request is sent: a fast answer must find it.
    let deliveries = session.post(&ids);
    if rooms.hub.send(HubEvent::Said { client: session.client, messages }).await.is_err() {
        return fail(StatusCode::SERVICE_UNAVAILABLE, -31001, "the daemon is stopping");
    }
    if ids.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    let mut response = answers(deliveries, ids.len()).await;
    if begins && let Ok(value) = HeaderValue::from_str(&session_id) {
        response.headers_mut().insert(SESSION, value);
    }
    response
}

/// Opens a session.
async fn begin(rooms: &Rooms, endpoint: Endpoint) -> Result<(String, Arc<Session>), Refusal> {
    for session in rooms.sessions.expired(Instant::now()) {
        let client = session.client;
        if rooms.hub.send(HubEvent::Close { client }).await.is_err() {
            break;
        }
    }
    if rooms.sessions.open().len() >= MOST_SESSIONS {
        return Err(Box::new(fail(StatusCode::SERVICE_UNAVAILABLE, -31003, "256 sessions are open")));
    }
    let client = rooms.hub.next_client();
    let session = Arc::new(Session::new(client, Instant::now()));
    let facts = ClientFacts {
        transport: "http",
        label: None,
        shim_pid: None,
        connected_at: jiff::Timestamp::now(),
        shown: true,
    };
    let sink = Sink::new(Way::Http(session.clone()));
    let opened = HubEvent::Open { client, endpoint: endpoint.clone(), sink, facts };
    if rooms.hub.send(opened).await.is_err() {
        return Err(Box::new(fail(StatusCode::SERVICE_UNAVAILABLE, -31001, "the daemon is stopping")));
    }
    let id = crate::token::random_hex::<16>();
    rooms.sessions.open().insert(id.clone(), (session.clone(), endpoint));
    Ok((id, session))
}

/// The response to a POST with this many requests.
async fn answers(mut deliveries: mpsc::Receiver<Delivery>, requests: usize) -> Response {
    match deliveries.recv().await {
        None => fail(StatusCode::NOT_FOUND, -32600, "the session has ended"),
        Some(Delivery::Answer(bytes)) if requests == 1 => json(StatusCode::OK, bytes),
        Some(first) => {
            let begun = Answers { deliveries, open: requests, first: VecDeque::from([first]) };
            events(stream::unfold(begun, |mut answers| async move {
                let event = answers.next().await?;
                Some((event, answers))
            }))
        }
    }
}

struct Answers {
    deliveries: mpsc::Receiver<Delivery>,
    /// Requests without an answer.
    open: usize,
    first: VecDeque<Delivery>,
}

impl Answers {
    async fn next(&mut self) -> Option<Bytes> {
        if self.open == 0 {
            return None;
        }
        let delivery = match self.first.pop_front() {
            Some(delivery) => delivery,
            None => match tokio::time::timeout(KEEP_ALIVE, self.deliveries.recv()).await {
                Ok(delivery) => delivery?,
                Err(_) => return Some(alive()),
            },
        };
        Some(match delivery {
            Delivery::Answer(bytes) => {
                self.open -= 1;
                event(&bytes)
            }
            Delivery::Aside(bytes) => event(&bytes),
        })
    }
}

/// `GET`: the stream for what belongs to no request.
pub(crate) fn get(rooms: &Rooms, endpoint: &Endpoint, headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/event-stream") {
        return (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "GET, POST, DELETE")],
            "a GET must accept text/event-stream\n",
        )
            .into_response();
    }
    let session =
        match session(rooms, endpoint, headers).and_then(|found| check_version(headers).map(|()| found)) {
            Ok((_, session)) => session,
            Err(response) => return *response,
        };
    let Some(messages) = session.get() else {
        return fail(StatusCode::CONFLICT, -32600, "this session has a GET stream already");
    };
    events(stream::unfold(messages, |mut messages| async move {
        let event = match tokio::time::timeout(KEEP_ALIVE, messages.recv()).await {
            Ok(message) => event(&message?),
            Err(_) => alive(),
        };
        Some((event, messages))
    }))
}

/// `DELETE`: the client ends its session.
pub(crate) async fn delete(rooms: Rooms, endpoint: Endpoint, headers: HeaderMap) -> Response {
    match session(&rooms, &endpoint, &headers) {
        Ok((id, session)) => {
            rooms.sessions.open().remove(&id);
            session.close();
            let client = session.client;
            if rooms.hub.send(HubEvent::Close { client }).await.is_err() {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            StatusCode::OK.into_response()
        }
        Err(response) => *response,
    }
}

fn event(message: &[u8]) -> Bytes {
    [&b"event: message\ndata: "[..], message, b"\n\n"].concat().into()
}

fn alive() -> Bytes {
    Bytes::from_static(b": alive\n\n")
}

fn events(stream: impl stream::Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(futures_util::StreamExt::map(stream, Ok::<Bytes, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (StatusCode::OK, headers, body).into_response()
}
