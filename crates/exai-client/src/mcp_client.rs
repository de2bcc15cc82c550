//! The MCP client of the command line, as simple as a client can be: it begins, sends one request at a time, and has
//! no capabilities, so that a server has nothing to ask of it.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::{Id, Kind, Message, answer, version};

use crate::limits::WAITING_INTERVAL;
use crate::link::{Incoming, Link, LinkError};

/// How a request ended: the JSON text as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The result.
    Result(Bytes),
    /// The error object.
    Error(Bytes),
}

/// A conversation that has begun.
#[derive(Debug)]
pub struct Conversation {
    link: Link,
    last_id: u64,
    /// When the whole conversation must be over.
    deadline: Option<Instant>,
}

impl Conversation {
    /// Begins a conversation that may take `timeout` in all. `waiting` is called once a second with the time waited
    /// so far. The inner error is the error object of the answer to `initialize`.
    pub fn begin(
        link: Link,
        timeout: Option<Duration>,
        waiting: impl FnMut(Duration),
    ) -> Result<Result<Self, Bytes>, LinkError> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut conversation = Conversation { link, last_id: 0, deadline };
        let params = format!(
            "{{\"protocolVersion\":\"{}\",\"capabilities\":{{}},\
             \"clientInfo\":{{\"name\":\"exai\",\"version\":\"{}\"}}}}",
            version::NEWEST_LEGACY,
            env!("CARGO_PKG_VERSION")
        );
        match conversation.request("initialize", &params, waiting)? {
            Answer::Result(_) => {
                conversation.link.send_message(&answer::notification("notifications/initialized"))?;
                Ok(Ok(conversation))
            }
            Answer::Error(error) => Ok(Err(error)),
        }
    }

    /// Sends a request and waits for its answer, until the daemon answers or the conversation must be over.
    pub fn request(
        &mut self,
        method: &str,
        params: &str,
        mut waiting: impl FnMut(Duration),
    ) -> Result<Answer, LinkError> {
        self.last_id += 1;
        let id = Id::number(self.last_id);
        self.link.send_message(&answer::request(self.last_id, method, params))?;
        let started = Instant::now();
        loop {
            let tick = Instant::now() + WAITING_INTERVAL;
            match self.link.next_before(Some(self.deadline.map_or(tick, |deadline| deadline.min(tick)))) {
                Ok(Incoming::Message(message)) => {
                    let Ok(message) = Message::of_server(message.into()) else { continue };
                    if let Some(answer) = self.consider(&message, &id)? {
                        return Ok(answer);
                    }
                }
                Ok(Incoming::Control(_)) => {}
                Err(LinkError::TimedOut) if self.is_over() => return Err(LinkError::TimedOut),
                Err(LinkError::TimedOut) => waiting(started.elapsed()),
                Err(error) => return Err(error),
            }
        }
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn consider(&self, message: &Message, ours: &Id) -> Result<Option<Answer>, LinkError> {
        let text = |place: &Range<usize>| message.bytes().slice(place.clone());
        match message.kind() {
            Kind::Response { id, outcome } if Id::from_json(message.at(id)) == *ours => {
                Ok(Some(match outcome {
                    Outcome::Result(place) => Answer::Result(text(place)),
                    Outcome::Error(place) => Answer::Error(text(place)),
                }))
            }
            Kind::Request { id, method, .. } => {
                let id = Id::from_json(message.at(id));
                let reply = match message.at(method) {
                    b"ping" => answer::result(&id, b"{}"),
                    _ => answer::error(&id, -32601, "the exai command line offers nothing to servers"),
                };
                self.link.send_message(&reply)?;
                Ok(None)
            }
            Kind::Response { .. } | Kind::Notification { .. } => Ok(None),
        }
    }
}
