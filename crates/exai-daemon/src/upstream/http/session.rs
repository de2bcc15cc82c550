//! One session with one server: what all its requests share, and its events for the hub.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use exai_config::Secret;
use exai_mux::InstanceId;
use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::envelope::Outcome;
use exai_proto::{Id, Kind, Message, json, request_metadata};
use exai_supervisor::Line;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::answer::Answer;
use super::client::HttpClient;
use super::connect::Failed;
use super::credentials::{Credentials, Verdict};
use super::known_tools::KnownTools;
use super::open_stream::OpenStream;
use super::outgoing::{Asked, Outgoing, Role};
use super::server_url::ServerUrl;
use super::unanswered::Unanswered;
use crate::limits::{ENDPOINT_TIMEOUT, MAX_REDIRECTS, MAX_TOKENS_PER_REQUEST};
use crate::upstream::conversation_event::{ConversationEvent, SignInWanted};
use crate::upstream::event::ServerEvent;
use crate::upstream::server_output::Garbled;
use crate::upstream::sign_ins::Cause;
use exai_supervisor::turns::Turns;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static(request_metadata::VERSION);
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// A session.
#[derive(Debug)]
pub(super) struct ServerSession {
    pub(super) client: HttpClient,
    place: ServerUrl,
    credentials: Credentials,
    pub(super) server: Arc<str>,
    instance: InstanceId,
    events: mpsc::Sender<(InstanceId, ServerEvent)>,
    /// Bounds what the server has said and the hub has not heard, over all connections.
    turns: Turns,
    /// Why the instance cannot be used any more. The first reason counts.
    broken: mpsc::Sender<ConversationEvent>,
    state: Mutex<State>,
    pub(super) tools: KnownTools,
    /// Where the event stream goes on which the server says everything, if it has one.
    streams: mpsc::Sender<OpenStream>,
    pub(super) unanswered: Unanswered,
}

/// Where the answers to the requests of a session come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswersCome {
    /// Streamable HTTP: as the answer to the POST.
    WithThePost,
    /// HTTP+SSE: on the event stream, like everything else that the server says.
    OnTheStream,
}

/// What a session hears of its server apart from answers.
#[derive(Debug)]
pub(super) struct SessionEnds {
    /// Why the instance cannot be used any more.
    pub(super) broken: mpsc::Receiver<ConversationEvent>,
    /// The event stream on which the server says everything.
    pub(super) streams: mpsc::Receiver<OpenStream>,
}

#[derive(Debug)]
struct State {
    /// The path of requests: the URL's, the target of a redirect, or the endpoint that the server has named.
    path: String,
    answers_come: AnswersCome,
    /// Whether the server has introduced itself, in either era.
    is_introduced: bool,
    /// The headers of a session of the legacy era, besides those of each request.
    id: Option<HeaderValue>,
    version: Option<HeaderValue>,
}

impl State {
    /// Moves requests to another path, unless they have moved away from `from` meanwhile over another transport.
    fn move_path(&mut self, from: &str, to: &str) -> bool {
        let may_move = self.answers_come == AnswersCome::WithThePost || self.path == from;
        if may_move {
            to.clone_into(&mut self.path);
        }
        may_move
    }
}

impl ServerSession {
    pub(super) fn new(
        client: HttpClient,
        place: ServerUrl,
        credentials: Credentials,
        (server, instance): (Arc<str>, InstanceId),
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
    ) -> (Arc<Self>, SessionEnds) {
        let (broken, reasons) = mpsc::channel(1);
        let (streams, opened) = mpsc::channel(1);
        let state = Mutex::new(State {
            path: place.path.clone(),
            answers_come: AnswersCome::WithThePost,
            is_introduced: false,
            id: None,
            version: None,
        });
        (
            Arc::new(ServerSession {
                client,
                place,
                credentials,
                server,
                instance,
                events,
                turns: Turns::new(),
                broken,
                state,
                tools: KnownTools::default(),
                streams,
                unanswered: Unanswered::default(),
            }),
            SessionEnds { broken: reasons, streams: opened },
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place(&self) -> &ServerUrl {
        &self.place
    }

    /// The path of the next request.
    pub(super) fn path(&self) -> String {
        self.state().path.clone()
    }

    pub(super) fn answers_come(&self) -> AnswersCome {
        self.state().answers_come
    }

    /// Goes on over the HTTP+SSE transport: messages are posted to this path, and all answers come on this stream.
    pub(super) fn post_to(&self, endpoint: String, stream: OpenStream) {
        let mut state = self.state();
        state.path = endpoint;
        state.answers_come = AnswersCome::OnTheStream;
        if self.streams.try_send(stream).is_err() {
            self.give_up("was asked to begin a second event stream".to_owned());
        }
    }

    /// Whether an answer with this status says that the server has ended the session of the legacy era.
    pub(super) fn is_ended_by(&self, status: StatusCode) -> bool {
        let state = self.state();
        let has_session = match state.answers_come {
            AnswersCome::WithThePost => state.id.is_some(),
            AnswersCome::OnTheStream => state.is_introduced,
        };
        status == StatusCode::NOT_FOUND && has_session
    }

    fn has_id(&self) -> bool {
        self.state().id.is_some()
    }

    /// Reports that the instance cannot be used any more. `reason` reads after "the server".
    pub(super) fn give_up(&self, reason: String) {
        // The first reason counts.
        let _ = self.broken.try_send(ConversationEvent::Failed(reason));
    }

    /// Passes a message of the server on. Waits while the hub is busy.
    pub(super) async fn say(&self, line: Line) {
        let turn = self.turns.next().await;
        self.report(ConversationEvent::Said(line, turn)).await;
    }

    /// Passes on that the server answered this request with something that is no message.
    pub(super) async fn garbled(&self, number: u64, garbled: Garbled) {
        let turn = self.turns.next().await;
        let garbled = Garbled { id: Some(Id::number(number)), asks: false, ..garbled };
        self.report(ConversationEvent::Garbled(garbled, turn)).await;
    }

    pub(super) async fn report(&self, event: ConversationEvent) {
        // A hub that has ended ignores it.
        let _ = self.events.send((self.instance, ServerEvent::Conversation(event))).await;
    }

    /// Answers a request in place of the server. `text` reads after "the server". If the server was to introduce itself,
    /// the instance has failed.
    pub(super) async fn fail(&self, number: u64, failure: Failure, text: &str) {
        if !self.state().is_introduced {
            return self.give_up(text.to_owned());
        }
        let data = FailureData { server: Some(&self.server), ..FailureData::new(Source::Daemon, failure) };
        let text = format!("server \"{}\" {text}", self.server);
        self.say(Line::Whole(answer::failure(&Id::number(number), &text, &data))).await;
    }

    /// Answers a request that the server has refused until somebody signs in. If the server was to introduce itself, the
    /// instance has ended. A client that can show the page is asked to, with the error that a server has for that
    /// (MCP 2025-11-25, elicitation, URLElicitationRequiredError).
    pub(super) async fn fail_signed_out(&self, number: u64, wanted: SignInWanted) {
        if !self.state().is_introduced {
            // The first reason counts.
            let _ = self.broken.try_send(ConversationEvent::SignedOut(wanted));
            return;
        }
        if wanted.cause == Cause::Wanted && self.credentials.note_ended() {
            self.report(ConversationEvent::SignInEnded(wanted.clone())).await;
        }
        let Some(page) = &wanted.page else {
            return self.fail(number, Failure::ServerUnavailable, &wanted.reason).await;
        };
        let text = format!("server \"{}\" {}", self.server, wanted.reason);
        let error = answer::url_elicitation_required(&Id::number(number), page, &text);
        self.say(Line::Whole(error)).await;
    }

    /// Notes that the server has taken a request.
    async fn note_taken(&self) {
        if self.credentials.note_taken() {
            self.report(ConversationEvent::SignInTaken).await;
        }
    }

    /// Whether this request asks whether the server speaks the modern era, and nothing is known yet.
    pub(super) fn is_probe(&self, asked: Asked) -> bool {
        asked.role == Role::Discover && !self.state().is_introduced
    }

    /// Passes an answer of the server on.
    pub(super) async fn say_answer(&self, asked: Asked, found: Bytes) {
        let told = if asked.role == Role::ListTools { self.tools.learn(&self.server, found) } else { found };
        self.say(Line::Whole(told)).await;
    }

    /// Notes what the answer to a request says of the conversation. Session id and version are those of the answer to
    /// `initialize`.
    pub(super) fn note_answer(&self, asked: Asked, answer: &Answer, message: &Bytes) {
        let mut state = self.state();
        if state.is_introduced || json::find(message, 0..message.len(), "error").is_some() {
            return;
        }
        state.is_introduced = matches!(asked.role, Role::Initialize | Role::Discover);
        if asked.role != Role::Initialize {
            return;
        }
        state.id = answer.head.headers().get(SESSION).cloned();
        let version = json::find_path(message, 0..message.len(), &["result", "protocolVersion"])
            .and_then(|place| json::string(message, place)?.parse().ok());
        state.version = version;
    }

    /// Notes that the server has introduced itself on its event stream.
    pub(super) fn note_introduction(&self) {
        self.state().is_introduced = true;
    }

    /// Sends a request.
    pub(super) async fn ask(&self, outgoing: &Outgoing) -> Result<Answer, Failed> {
        let Outgoing { asked, body, headers } = outgoing;
        let mut headers = if asked.role.is_modern() { headers.clone() } else { self.session_headers() };
        if asked.role == Role::CallTool {
            headers.extend(self.tools.repeat_arguments(body));
        }
        self.post(body.clone(), headers).await
    }

    /// Sends a message that is no request. In the modern era there is none: what would cancel a request ends its answer.
    pub(super) async fn tell(&self, message: Bytes) -> Result<Answer, Failed> {
        self.post(message, self.session_headers()).await
    }

    /// Sends a message.
    async fn post(&self, message: Bytes, headers: HeaderMap) -> Result<Answer, Failed> {
        self.follow((Method::POST, BOTH), headers, message, None).await
    }

    /// Asks for the event stream of the HTTP+SSE transport.
    pub(super) async fn open_stream(&self) -> Result<Answer, Failed> {
        self.follow((Method::GET, EVENTS), HeaderMap::new(), Bytes::new(), Some(ENDPOINT_TIMEOUT)).await
    }

    /// Sends a request. Redirects within the server are followed; any other redirect is the answer.
    async fn follow(
        &self,
        (method, accept): (Method, HeaderValue),
        own: HeaderMap,
        body: Bytes,
        limit: Option<Duration>,
    ) -> Result<Answer, Failed> {
        let mut redirects = 0;
        loop {
            let asked = self.path();
            let answer = self.send((&method, &accept), &own, &body, limit).await?;
            let location = answer.head.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let path = location.and_then(|location| self.place.redirected(location));
            let path = path.filter(|_| keeps_method(answer.head.status()) && redirects < MAX_REDIRECTS);
            match path {
                Some(path) if self.state().move_path(&asked, &path) => {}
                Some(_) | None => return Ok(answer),
            }
            redirects += 1;
        }
    }

    /// Notices the next sign-in at the server. `None` where nobody signs in.
    pub(super) fn watch_sign_ins(&self) -> Option<watch::Receiver<()>> {
        self.credentials.watch_sign_ins()
    }

    /// Asks for an event stream: the one for unrelated messages, or the rest of one that broke off.
    pub(super) async fn listen(&self, after: Option<&str>) -> Result<Answer, Failed> {
        let mut headers = self.session_headers();
        if let Some(after) = after.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(LAST_EVENT, after);
        }
        self.send((&Method::GET, &EVENTS), &headers, &Bytes::new(), None).await
    }

    /// Ends the session with a DELETE, if it has an id.
    pub(super) async fn delete(&self) {
        if self.has_id() {
            // The server may not support it.
            let request = self.request(&Method::DELETE, &BOTH, &self.session_headers(), &Bytes::new()).await;
            if let Ok((request, _)) = request {
                let _ = self.client.send(request).await;
            }
        }
    }

    /// The headers that say which session of the legacy era a message belongs to.
    fn session_headers(&self) -> HeaderMap {
        let state = self.state();
        let id = state.id.clone().map(|id| (SESSION, id));
        id.into_iter().chain(state.version.clone().map(|version| (VERSION, version))).collect()
    }

    /// Sends a request with what shows who asks. If the server refuses that, and there is something else to show now, the
    /// request is sent again: the server has not read it. `limit` is the time until the head of an answer, without what a
    /// sign-in takes.
    async fn send(
        &self,
        (method, accept): (&Method, &HeaderValue),
        own: &HeaderMap,
        body: &Bytes,
        limit: Option<Duration>,
    ) -> Result<Answer, Failed> {
        for _ in 0..MAX_TOKENS_PER_REQUEST {
            let (request, token) = self.request(method, accept, own, body).await?;
            let sending = self.client.send(request);
            let answer = match limit {
                None => sending.await?,
                Some(limit) => timeout(limit, sending).await.unwrap_or_else(|_| {
                    let reason = format!("has not answered a {method} within {} s", limit.as_secs());
                    Err(Failed::Unsent(reason))
                })?,
            };
            match self.credentials.judge(&answer.head, token.as_ref()).await? {
                Verdict::Answered => {
                    if answer.head.status().is_success() {
                        self.note_taken().await;
                    }
                    return Ok(answer);
                }
                Verdict::Again => {}
            }
        }
        Err(Failed::Unsent(format!(
            "has taken none of {MAX_TOKENS_PER_REQUEST} tokens, each newer than the last"
        )))
    }

    /// A request, and the token that it shows.
    async fn request(
        &self,
        method: &Method,
        accept: &HeaderValue,
        own: &HeaderMap,
        body: &Bytes,
    ) -> Result<(Request<Full<Bytes>>, Option<Secret>), Failed> {
        let (mut headers, token) = self.credentials.headers().await?;
        headers.extend(own.clone());
        headers.insert(header::ACCEPT, accept.clone());
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        let mut request = Request::new(Full::new(body.clone()));
        if let Some(uri) = self.client.uri(&self.place, &self.state().path) {
            *request.uri_mut() = uri;
        }
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers;
        Ok((request, token))
    }
}

/// Whether a redirect asks for the same request at another path. Such a redirect says that the request was not carried out.
pub(super) fn keeps_method(status: StatusCode) -> bool {
    [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&status)
}

/// The answer to the request with this number, or a batch that contains it. An error that names no request answers the
/// request that it is the response to.
pub(super) fn answer_to(text: &Bytes, number: u64) -> Option<Bytes> {
    let is = |message: &Message| match message.kind() {
        Kind::Response { id, .. } => Id::from_json(message.at(id)).as_number() == Some(number),
        Kind::Request { .. } | Kind::Notification { .. } => false,
    };
    match Message::of_server(text.clone()) {
        Ok(message) => match message.kind() {
            Kind::Response { id, outcome: Outcome::Error(_) } if message.at(id) == b"null" => {
                let with = number.to_string().into_bytes();
                Some(message.edited(vec![json::Edit { at: id.clone(), with }]).into_whole())
            }
            _ => is(&message).then(|| message.bytes().clone()),
        },
        Err(exai_proto::ParseError::Batch) => {
            let parts = exai_proto::envelope::split_batch(text).unwrap_or_default();
            let mut messages = parts.into_iter().filter_map(|part| Message::of_server(part).ok());
            messages.any(|message| is(&message)).then(|| text.clone())
        }
        Err(_) => None,
    }
}

/// The message of an error that belongs to no request: servers refuse requests like this that they did not read.
pub(super) fn complaint(text: &Bytes) -> Option<String> {
    let message = Message::parse(text.clone()).ok()?;
    let Kind::Response { outcome: Outcome::Error(error), .. } = message.kind() else { return None };
    let place = json::find(message.bytes(), error.clone(), "message")?;
    json::string(message.bytes(), place).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_alone_and_in_batches() {
        let cases = [
            (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, true),
            (r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"m"}}"#, true),
            (r#"[{"jsonrpc":"2.0","method":"m"},{"jsonrpc":"2.0","id":7,"result":{}}]"#, true),
            (r#"{"jsonrpc":"2.0","id":7.0,"result":{},"error":null}"#, true),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#, true),
            (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, true),
            (r#"{"jsonrpc":"2.0","id":"x","result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, false),
            ("<html>", false),
        ];
        for (text, expected) in cases {
            let answer = answer_to(&Bytes::from_static(text.as_bytes()), 7);
            assert_eq!(answer.is_some(), expected, "{text}");
        }
    }

    #[test]
    fn complaints_are_read() {
        let error = br#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"No \"x\""}}"#;
        assert_eq!(complaint(&Bytes::from_static(error)).as_deref(), Some("No \"x\""));
        assert_eq!(complaint(&Bytes::from_static(b"no")), None);
    }
}
