//! What can reach the hub, and the way to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use exai_config::Config;
use exai_mux::{ClientId, Endpoint, InstanceId};
use exai_proto::Message;
use exai_proto::documents::{Ps, Servers, Status, Why};
use exai_proto::link::ByeReason;
use exai_supervisor::JobEvent;
use exai_supervisor::turns::Turn;
use tokio::sync::{mpsc, oneshot};

use crate::client::input_budget::InputClaim;
use crate::client::sink::{CloseReason, Sink};
use crate::core::stopping::ReplaceAnswer;
use crate::limits::MAX_HUB_EVENTS;
use crate::observe::facts::ClientFacts;
use crate::observe::process_monitor::MonitorEvent;
use crate::state::discovery::KnownDiscovery;
use crate::upstream::event::ServerEvent;

/// What clients, questions and the hub itself bring before the hub. Servers and the process monitor have channels of their
/// own.
#[derive(Debug)]
pub(crate) enum HubEvent {
    /// A client connected.
    Open { client: ClientId, endpoint: Endpoint, sink: Sink, facts: ClientFacts },
    /// A client said something. Its turn and its part of the budget end when this was heard.
    Said { client: ClientId, messages: Vec<Message>, claim: InputClaim, turn: Turn },
    /// A shim keeps what its client says from now on; what it had sent before was said before this.
    Held { client: ClientId },
    /// A client is gone, or is to go.
    Close { client: ClientId, why: CloseReason },
    /// A long message of a server was checked.
    Checked { instance: InstanceId, checked: Checked },
    /// The built-in server answers.
    Builtin { instance: InstanceId, message: Bytes },
    /// Somebody wants to know something or have something done.
    Ask(Question),
    /// This was known of servers when they ran before.
    Known(Vec<KnownDiscovery>),
    /// The configuration was read again.
    Loaded { outcome: Result<Config, String>, reply: oneshot::Sender<Result<(), String>> },
    /// A server was added: it is started, so that what it offers is known.
    Warm { server: String },
    /// The daemon is to end, after at most this long for what is under way.
    Stop { grace: Duration, reason: ByeReason },
}

/// What can be asked of the hub, each with the way back.
#[derive(Debug)]
pub(crate) enum Question {
    Status(oneshot::Sender<Status>),
    Ps(oneshot::Sender<Ps>),
    Servers(oneshot::Sender<Servers>),
    Reload(oneshot::Sender<Result<(), String>>),
    Why {
        server: String,
        reply: oneshot::Sender<Result<Why, String>>,
    },
    RestartServer {
        server: String,
        reply: oneshot::Sender<Result<usize, String>>,
    },
    /// Another build wants this daemon's place.
    MakeRoom {
        build: String,
        reply: oneshot::Sender<ReplaceAnswer>,
    },
    /// Whether the loop turns: it writes down the number.
    Pulse {
        number: u64,
        answered: Arc<AtomicU64>,
    },
}

/// The way to the hub.
#[derive(Debug, Clone)]
pub(crate) struct HubHandle {
    events: mpsc::Sender<HubEvent>,
    next_client: Arc<AtomicU64>,
}

/// The hub is gone: the daemon is stopping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubGone;

impl HubHandle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<HubEvent>) {
        let (events, receiver) = mpsc::channel(MAX_HUB_EVENTS);
        (HubHandle { events, next_client: Arc::new(AtomicU64::new(1)) }, receiver)
    }

    pub(crate) async fn send(&self, event: HubEvent) -> Result<(), HubGone> {
        self.events.send(event).await.map_err(|_| HubGone)
    }

    /// The same from a thread of its own. A hub that is gone needs to know nothing.
    pub(crate) fn send_from_thread(&self, event: HubEvent) {
        let _ = self.events.blocking_send(event);
    }

    /// How many events wait.
    pub(crate) fn waiting(&self) -> usize {
        self.events.max_capacity() - self.events.capacity()
    }

    /// Asks without waiting for room. Returns whether there was any.
    pub(crate) fn try_ask(&self, question: Question) -> bool {
        self.events.try_send(HubEvent::Ask(question)).is_ok()
    }

    /// Whether the hub has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.events.is_closed()
    }

    /// Introduces a client.
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

    /// A client's id, never used before.
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

/// A long message that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// As it came: what is none is looked at again.
    pub(crate) bytes: Bytes,
    pub(crate) message: Option<Message>,
    /// How it came.
    pub(crate) way: Arrival,
}

/// How a message of a server came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// As a line of stdout.
    Line,
    /// Over HTTP.
    Document,
}

/// Where everything that can happen reaches the hub.
#[derive(Debug)]
pub(crate) struct Inboxes {
    pub(crate) events: mpsc::Receiver<HubEvent>,
    pub(crate) jobs: mpsc::Receiver<(InstanceId, JobEvent)>,
    pub(crate) servers: mpsc::Receiver<(InstanceId, ServerEvent)>,
    pub(crate) monitor: mpsc::Receiver<MonitorEvent>,
}
