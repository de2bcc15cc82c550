//! A client over Streamable HTTP, in both eras: each message that says its revision in `_meta` is sent as one of the
//! modern era, and everything else belongs to a session.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use super::Door;
use crate::http::{Response, http};

/// The member of `_meta` that only messages of the modern era have.
const REVISION: &str = "io.modelcontextprotocol/protocolVersion";

#[derive(Clone)]
pub(super) struct Post {
    door: Door,
    path: String,
    pub(super) session: Option<String>,
    /// What the session has agreed on.
    revision: String,
    inbox: Sender<Value>,
    /// The connections of modern requests under way, by the text of their ids: to close one is to cancel the request.
    open: Arc<Mutex<HashMap<String, TcpStream>>>,
}

impl Post {
    pub(super) fn new(door: &Door, path: String, inbox: Sender<Value>) -> Self {
        let revision = "2025-06-18".to_owned();
        Post { door: door.clone(), path, session: None, revision, inbox, open: Arc::default() }
    }

    pub(super) fn send(&mut self, text: &str, is_request: bool) {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        if message["method"] == "initialize" {
            self.begin_session(text);
        } else if !is_request {
            assert_eq!(self.exchange("POST", text, &message).status, 202, "{text}");
        } else {
            // A thread of its own hears the answer, as a real client hears several answers at the same time.
            let (post, text) = (self.clone(), text.to_owned());
            thread::spawn(move || post.hear(post.exchange("POST", &text, &message), &message));
        }
    }

    fn begin_session(&mut self, text: &str) {
        self.session = None;
        let response = self.exchange("POST", text, &Value::Null);
        self.session = response.header("mcp-session-id").map(ToOwned::to_owned);
        assert!(self.session.is_some(), "status {}", response.status);
        let answer = response.answer();
        if let Some(revision) = answer["result"]["protocolVersion"].as_str() {
            revision.clone_into(&mut self.revision);
        }
        let _ = self.inbox.send(answer); // the party holds the other end
        let post = self.clone();
        let stream = self.exchange("GET", "", &Value::Null);
        thread::spawn(move || post.hear(stream, &Value::Null));
    }

    /// Passes on what a response brings.
    fn hear(&self, mut response: Response, request: &Value) {
        let is_stream = response.header("content-type") == Some("text/event-stream");
        if !is_stream {
            let status = response.status;
            let answer = response.json();
            check_status(status, request, &answer);
            let _ = self.inbox.send(answer); // the party may be gone
            return;
        }
        let id = request["id"].to_string();
        if revision(request).is_some() {
            self.open().insert(id.clone(), response.connection());
        }
        while let Some(message) = response.next_event() {
            if self.inbox.send(message).is_err() {
                break;
            }
        }
        self.open().remove(&id);
    }

    /// Cancels a modern request whose stream has begun.
    pub(super) fn close(&self, id: &Value) {
        let stream = self.open().remove(&id.to_string()).expect("a stream has begun");
        stream.shutdown(Shutdown::Both).expect("it can be closed");
    }

    /// Ends the session, if there is one.
    pub(super) fn end(&self) {
        if self.session.is_some() {
            self.exchange("DELETE", "", &Value::Null);
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<String, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(&self, method: &str, body: &str, message: &Value) -> Response {
        let mut headers = vec![
            ("authorization", self.door.bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if let Some(revision) = revision(message) {
            let text = |value: &'static str| message[value].as_str();
            let named = message["params"]["name"].as_str().or(message["params"]["uri"].as_str());
            headers.push(("mcp-protocol-version", revision));
            headers.extend(text("method").map(|method| ("mcp-method", method)));
            headers.extend(named.map(|named| ("mcp-name", named)));
        } else {
            headers.push(("mcp-protocol-version", &self.revision));
            headers.extend(self.session.as_deref().map(|session| ("mcp-session-id", session)));
        }
        http(self.door.port, method, &self.path, &headers, body)
    }
}

/// The revision that a modern message names.
fn revision(message: &Value) -> Option<&str> {
    message["params"]["_meta"][REVISION].as_str()
}

/// Checks the status of a document that answers a modern request (basic/transports/streamable-http).
fn check_status(status: u16, request: &Value, answer: &Value) {
    if revision(request).is_some() {
        let wanted = match answer["error"]["code"].as_i64() {
            Some(-32601) => 404,
            Some(-32600 | -32700 | -32022..=-32020) => 400,
            _ => 200,
        };
        assert_eq!(status, wanted, "{request} was answered with {answer}");
    }
}
