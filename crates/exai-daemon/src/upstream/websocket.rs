//! A server that speaks WebSocket, elsewhere or on a port that it has opened itself: one connection for each instance, subprotocol `mcp`, one message in
//! each frame. The rules are those of stdio, as on the daemon's own WebSocket.
//!
//! # Theory of operation
//!
//! The hub pushes messages into a queue and hears [`ConversationEvent`]s. One task per instance does the rest: `handshake`
//! opens the connection, and `connection` reads and writes side by side, so that neither side can wait for the other one for
//! ever. When the connection is lost the instance has failed, and the next request begins another one.

mod byte_counter;
mod connection;
mod handshake;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exai_mux::{InstanceId, See};
use exai_proto::Segments;
use exai_supervisor::outbox::{Bound, Drain, Outbox, Unsent, outbox};
use exai_supervisor::turns::Turns;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::limits::{CLOSE_TIMEOUT, SERVER_END_TIMEOUT, SESSION_END_TIMEOUT};
use crate::observe::process_monitor::ProcessMonitor;
use crate::upstream::conversation_event::ConversationEvent;
use crate::upstream::event::ServerEvent;
use crate::upstream::http::remote_client::RemoteClient;
use crate::upstream::http::startup::{Startup, Wish};
use crate::upstream::http::target::{HttpTarget, OwnTarget};
use crate::upstream::running::{Stop, Upstream};
use crate::upstream::server_output;
use connection::Ending;

/// The conversation with such a server. There is no process. Dropping it drops the connection.
#[derive(Debug)]
pub(crate) struct WebSocketUpstream {
    outbox: Outbox,
    closing: watch::Sender<bool>,
    conversation: Conversation,
    server: Arc<str>,
    /// Of a server that the daemon has started.
    wish: Option<Wish>,
    /// The first text that is no message, until the server has said a message.
    first_text: Option<String>,
    has_spoken: bool,
}

#[derive(Debug)]
enum Conversation {
    Open,
    Ended,
}

/// The way to the server.
#[derive(Debug)]
enum Way {
    Elsewhere(RemoteClient),
    /// To a process of its own tree, as soon as one listens.
    OwnTree(Startup),
}

impl WebSocketUpstream {
    /// Begins a conversation with a server that runs elsewhere.
    pub(crate) fn start(
        (target, client): (HttpTarget, RemoteClient),
        whose: (Arc<str>, InstanceId),
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> WebSocketUpstream {
        WebSocketUpstream::converse((target, Way::Elsewhere(client)), whose, events, limit, tasks)
    }

    /// Begins to wait for a server that the daemon has started, and speaks to it as soon as it listens.
    pub(crate) fn start_own(
        target: OwnTarget,
        whose: (Arc<str>, InstanceId),
        monitor: ProcessMonitor,
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> WebSocketUpstream {
        let way = Way::OwnTree(Startup::begin(&target, whose.1, monitor));
        WebSocketUpstream::converse((target.http, way), whose, events, limit, tasks)
    }

    /// What the daemon waits for while the server does not listen yet, in words that read after "the server".
    pub(crate) fn waits_for(&self) -> Option<String> {
        self.wish.as_ref()?.get()
    }

    fn converse(
        to: (HttpTarget, Way),
        (server, instance): (Arc<str>, InstanceId),
        events: mpsc::Sender<(InstanceId, ServerEvent)>,
        limit: Bound,
        tasks: &TaskTracker,
    ) -> WebSocketUpstream {
        let wish = match &to.1 {
            Way::Elsewhere(_) => None,
            Way::OwnTree(startup) => Some(startup.wish()),
        };
        let (outbox, drain) = outbox(limit);
        let (closing, closed) = watch::channel(false);
        let reporter = Reporter { instance, events };
        tasks.spawn(reporter.run(to, drain, closed));
        let conversation = Conversation::Open;
        WebSocketUpstream { outbox, closing, conversation, server, wish, first_text: None, has_spoken: false }
    }
}

impl Upstream for WebSocketUpstream {
    fn send(&self, message: Segments, _number: Option<u64>) -> Result<(), Unsent> {
        self.outbox.push(message)
    }

    /// What waits is still sent, then the connection is closed. The hub calls this again when it has ended.
    fn stop(&self, _grace: Duration) -> Stop {
        match self.conversation {
            Conversation::Open => {
                self.outbox.close();
                self.closing.send_replace(true);
                Stop::Begun
            }
            Conversation::Ended => Stop::Done,
        }
    }

    fn is_up(&self) -> bool {
        false
    }

    fn where_to_look(&self) -> See {
        See::Nobody
    }

    fn note_message(&mut self) {
        self.has_spoken = true;
        self.first_text = None;
    }

    fn print(&mut self, line: &Bytes) {
        let text = server_output::visible(line);
        tracing::debug!(server = %self.server, text, "it says what is no message");
        if !self.has_spoken {
            self.first_text.get_or_insert(text);
        }
    }

    fn forget_session(&mut self) {
        self.conversation = Conversation::Ended;
    }

    fn explain(&self, reason: String) -> String {
        match &self.first_text {
            Some(text) => format!("{reason}; it has said no message of MCP, but \"{text}\""),
            None => reason,
        }
    }
}

impl Way {
    /// Opens a WebSocket. The error reads after "the server".
    async fn open(&self, target: &HttpTarget) -> Result<TokioIo<Upgraded>, String> {
        match self {
            Way::Elsewhere(client) => handshake::open(target, client.connector()).await,
            Way::OwnTree(startup) => {
                startup.wait_until_listening().await?;
                handshake::open_on(TokioIo::new(startup.connect().await?), target).await
            }
        }
    }
}

/// The task of an instance, and its way to the hub.
#[derive(Debug)]
struct Reporter {
    instance: InstanceId,
    events: mpsc::Sender<(InstanceId, ServerEvent)>,
}

impl Reporter {
    async fn report(&self, event: ConversationEvent) {
        // A hub that has ended ignores it.
        let _ = self.events.send((self.instance, ServerEvent::Conversation(event))).await;
    }

    async fn run(
        self,
        (target, way): (HttpTarget, Way),
        mut waiting: Drain,
        mut closing: watch::Receiver<bool>,
    ) {
        // The handle may be dropped as well: then the connection ends without a word.
        let asked = async { closing.wait_for(|closing| *closing).await.is_ok() };
        tokio::pin!(asked);
        let opened = tokio::select! {
            opened = way.open(&target) => opened,
            _ = &mut asked => return self.report(ConversationEvent::Closed).await,
        };
        let (mut reader, mut writer) = match opened {
            Ok(stream) => connection::begin(stream).await,
            Err(reason) => return self.report(ConversationEvent::Failed(reason)).await,
        };
        self.report(ConversationEvent::Up).await;
        let ending = tokio::select! {
            ending = self.pass_on(&mut reader) => ending,
            unsent = writer.write_messages(&mut waiting) => {
                // The server may have said why it takes no more.
                timeout(SERVER_END_TIMEOUT, self.pass_on(&mut reader)).await.unwrap_or(unsent)
            }
            asked = asked => {
                if !asked {
                    return;
                }
                let _ = timeout(SESSION_END_TIMEOUT, writer.close_after(&mut waiting, &mut reader)).await;
                return self.report(ConversationEvent::Closed).await;
            }
        };
        self.report(ConversationEvent::Failed(ending.reason)).await;
        // The other side may be gone.
        let _ = timeout(CLOSE_TIMEOUT, writer.close(ending.farewell)).await;
    }

    /// Passes on what the server says, until the connection ends.
    async fn pass_on<S: connection::Io>(&self, reader: &mut connection::Reader<S>) -> Ending {
        let turns = Turns::new();
        loop {
            // The turn comes before the reading: what has no turn waits with the server.
            let turn = turns.next().await;
            match reader.next().await {
                Ok(line) => self.report(ConversationEvent::Said(line, turn)).await,
                Err(ending) => return ending,
            }
        }
    }
}
