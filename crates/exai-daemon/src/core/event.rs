//! What can reach the hub, and the way to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use exai_config::{Config, ServerConfig};
use exai_mux::{ClientId, Endpoint, InstanceId, ParameterHeader};
use exai_proto::Message;
use exai_proto::documents::SharingExplanation;
use exai_proto::link::ByeReason;
use exai_supervisor::JobEvent;
use exai_supervisor::turns::Turn;
use tokio::sync::{mpsc, oneshot};

use crate::client::input_budget::InputClaim;
use crate::client::sink::{CloseReason, Sink};
use crate::core::stopping::ReplaceAnswer;
use crate::limits::MAX_HUB_EVENTS;
use crate::observe::facts::{ClientFacts, Facts};
use crate::observe::process_monitor::MonitorEvent;
use crate::state::discovery::KnownDiscovery;
use crate::upstream::event::ServerEvent;

/// An event from a client, a question, or the hub's own background work. Servers and the process monitor have channels of
/// their own, see [`Inboxes`].
#[derive(Debug)]
pub(crate) enum HubEvent {
    /// A client connected.
    Open { client: ClientId, endpoint: Endpoint, sink: Sink, facts: ClientFacts },
    /// A client sent messages. The turn of its connection and its part of the input budget end when the hub has heard them.
    Said { client: ClientId, messages: Vec<Message>, claim: InputClaim, turn: Turn },
    /// A shim holds what its client says from now on. Everything that the shim sent before has arrived.
    Held { client: ClientId },
    /// A client has gone, or is to be disconnected.
    Close { client: ClientId, why: CloseReason },
    /// A long message of a server was checked on another thread.
    Checked { instance: InstanceId, checked: Checked },
    /// A question, or an order from the command line.
    Ask(Question),
    /// What servers said of themselves in earlier runs was read from disk.
    Known(Vec<KnownDiscovery>),
    /// The configuration was read again, or could not be.
    Loaded { outcome: Result<Config, String>, reply: oneshot::Sender<Result<(), String>> },
    /// A server was added. The hub starts it, so that its tools are known before a client asks.
    Warm { server: String },
    /// Somebody has signed in at servers, which share that.
    SignedIn { servers: Vec<Arc<str>> },
    /// The daemon is to end. Requests under way have at most `grace` to finish.
    Stop { grace: Duration, reason: ByeReason },
}

/// A question to the hub, with the channel for its answer.
#[derive(Debug)]
pub(crate) enum Question {
    /// What the hub knows now: the documents of `status`, `ps` and `list` are made of it, on another thread.
    Facts(oneshot::Sender<Facts>),
    Reload(oneshot::Sender<Result<(), String>>),
    /// Disconnects the clients whose token was removed. Answered with their number.
    EndRevoked(oneshot::Sender<usize>),
    Why {
        server: String,
        reply: oneshot::Sender<Result<SharingExplanation, String>>,
    },
    /// How a server is configured.
    ServerConfig {
        server: String,
        reply: oneshot::Sender<Result<ServerConfig, String>>,
    },
    RestartServer {
        server: String,
        reply: oneshot::Sender<Result<usize, String>>,
    },
    /// The headers that go with a call of a tool; `None` while the tool is not known.
    ParameterHeaders {
        client: ClientId,
        /// The name that the client has for the tool.
        tool: String,
        reply: oneshot::Sender<Option<Vec<ParameterHeader>>>,
    },
    /// Another build asks to replace this daemon.
    MakeRoom {
        build: String,
        reply: oneshot::Sender<ReplaceAnswer>,
    },
    /// Proves that the loop turns: the hub stores `number` in `answered`.
    Pulse {
        number: u64,
        answered: Arc<AtomicU64>,
    },
}

/// A handle of the hub.
#[derive(Debug, Clone)]
pub(crate) struct HubHandle {
    events: mpsc::Sender<HubEvent>,
    next_client: Arc<AtomicU64>,
    marks_arguments: Arc<AtomicBool>,
}

/// The hub has ended: the daemon is stopping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubGone;

impl HubHandle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<HubEvent>) {
        let (events, receiver) = mpsc::channel(MAX_HUB_EVENTS);
        let next_client = Arc::new(AtomicU64::new(1));
        (HubHandle { events, next_client, marks_arguments: Arc::default() }, receiver)
    }

    pub(crate) async fn send(&self, event: HubEvent) -> Result<(), HubGone> {
        self.events.send(event).await.map_err(|_| HubGone)
    }

    /// Sends an event from a thread that may block. A hub that has ended ignores it.
    pub(crate) fn send_from_thread(&self, event: HubEvent) {
        let _ = self.events.blocking_send(event);
    }

    /// The number of events that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.events.max_capacity() - self.events.capacity()
    }

    /// Asks without waiting for room in the queue. Returns whether there was room.
    pub(crate) fn try_ask(&self, question: Question) -> bool {
        self.events.try_send(HubEvent::Ask(question)).is_ok()
    }

    /// Whether the hub has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.events.is_closed()
    }

    /// Notes that a tool has arguments that its calls repeat in HTTP headers.
    pub(crate) fn note_marked_arguments(&self) {
        self.marks_arguments.store(true, Ordering::Relaxed);
    }

    /// Whether any tool that was known since the daemon started has such arguments. Few have: without one nobody needs
    /// to ask [`Question::ParameterHeaders`].
    pub(crate) fn marks_arguments(&self) -> bool {
        self.marks_arguments.load(Ordering::Relaxed)
    }

    /// Tells the hub of a new client.
    pub(crate) async fn open(
        &self,
        endpoint: Endpoint,
        sink: Sink,
        facts: ClientFacts,
    ) -> Result<ClientId, HubGone> {
        let client = self.next_client();
        self.send(HubEvent::Open { client, endpoint, sink, facts }).await?;
        Ok(client)
    }

    /// A client id that was never used before.
    pub(crate) fn next_client(&self) -> ClientId {
        ClientId(self.next_client.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, HubGone> {
        let (reply, answer) = oneshot::channel();
        self.send(HubEvent::Ask(question(reply))).await?;
        answer.await.map_err(|_| HubGone)
    }
}

/// A long message of a server, after its check.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The bytes as they came. If they are no message, the hub looks at them again.
    pub(crate) bytes: Bytes,
    pub(crate) message: Option<Message>,
    /// How the message arrived.
    pub(crate) way: Arrival,
}

/// How a message of a server arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// As a line of stdout.
    Line,
    /// As a document or event over HTTP.
    Document,
}

/// The receiving ends of all channels to the hub: everything that can happen arrives here.
#[derive(Debug)]
pub(crate) struct Inboxes {
    pub(crate) events: mpsc::Receiver<HubEvent>,
    pub(crate) jobs: mpsc::Receiver<(InstanceId, JobEvent)>,
    pub(crate) servers: mpsc::Receiver<(InstanceId, ServerEvent)>,
    pub(crate) monitor: mpsc::Receiver<MonitorEvent>,
}
