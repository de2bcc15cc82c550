//! A server that the daemon starts and that opens a port of its own.

use std::time::Duration;

use bytes::Bytes;
use exai_proto::Segments;
use exai_supervisor::Job;
use exai_supervisor::outbox::Unsent;

use crate::upstream::http::HttpUpstream;
use crate::upstream::running::{Stop, Upstream};
use crate::upstream::websocket::WebSocketUpstream;

/// A process tree, and the conversation with it.
#[derive(Debug)]
pub(crate) struct ListeningUpstream {
    job: Job,
    conversation: Conversation,
}

/// What is spoken with such a server.
#[derive(Debug)]
pub(crate) enum Conversation {
    Http(HttpUpstream),
    WebSocket(WebSocketUpstream),
    /// There is none any more.
    Ended,
}

impl ListeningUpstream {
    pub(crate) fn new(job: Job, conversation: Conversation) -> Self {
        ListeningUpstream { job, conversation }
    }
}

impl Upstream for ListeningUpstream {
    fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent> {
        match &self.conversation {
            Conversation::Http(http) => http.send(message, number),
            Conversation::WebSocket(socket) => socket.send(message, number),
            Conversation::Ended => Err(Unsent::Closed),
        }
    }

    /// The conversation ends first, then the processes: the hub calls this again when the conversation has ended.
    fn stop(&self, grace: Duration) -> Stop {
        match &self.conversation {
            Conversation::Http(http) => http.close(),
            Conversation::WebSocket(socket) => return socket.stop(grace),
            Conversation::Ended => self.job.stop(grace),
        }
        Stop::Begun
    }

    fn is_up(&self) -> bool {
        false
    }

    fn root_pid(&self) -> Option<u32> {
        Some(self.job.root().pid)
    }

    fn stderr_tail(&self) -> String {
        self.job.stderr_tail()
    }

    fn print(&mut self, line: &Bytes) {
        self.job.print(line);
    }

    fn forget_session(&mut self) {
        self.conversation = Conversation::Ended;
    }

    fn explain(&self, reason: String) -> String {
        let waits_for = match &self.conversation {
            Conversation::Http(http) => http.waits_for(),
            Conversation::WebSocket(socket) => socket.waits_for(),
            Conversation::Ended => None,
        };
        match waits_for {
            Some(waits_for) => format!("{reason}; it {waits_for}"),
            None => reason,
        }
    }
}
