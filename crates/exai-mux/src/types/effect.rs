//! Everything the router can ask for.

use std::sync::Arc;

use exai_proto::{Id, Segments};

use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId};

/// The request of a client that a message belongs to. HTTP needs it to choose a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The message answers this request.
    Answer(Id),
    /// The message came up while the server worked on this request.
    During(Id),
    /// The message concerns the session as a whole.
    Session,
}

/// Everything the router can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this message to a client.
    ToClient {
        /// The client.
        client: ClientId,
        /// One message, without a line break.
        bytes: Segments,
        /// The request that the message belongs to.
        about: About,
    },
    /// This request gets no answer: its client has cancelled it, or has sent `initialize` anew.
    Dropped {
        /// The client.
        client: ClientId,
        /// The id of the request.
        id: Id,
    },
    /// A request that came too late to be served, and cannot be answered from memory.
    Unserved {
        /// The client.
        client: ClientId,
        /// The id of the request.
        id: Id,
    },
    /// Send this message to a server.
    ToServer {
        /// The instance.
        instance: InstanceId,
        /// One message, without a line break.
        bytes: Segments,
        /// The number of the request, if the message is one. If it cannot be sent, answer with
        /// [`crate::Event::Unsent`].
        number: Option<u64>,
    },
    /// Start a server; answer with [`crate::Event::Up`] or [`crate::Event::Down`].
    Start {
        /// The new instance.
        instance: InstanceId,
        /// The name of the server.
        server: Arc<str>,
        /// The number of the instance, which is shown as `NAME#NUMBER`.
        number: u32,
    },
    /// The server has answered `initialize`: the instance serves from now on.
    Ready {
        /// The instance.
        instance: InstanceId,
    },
    /// The server has answered [`crate::Event::Ping`], with a result or an error.
    Pinged {
        /// The instance.
        instance: InstanceId,
        /// How many bytes the ping had.
        sent: usize,
        /// How many bytes the answer had.
        answered: usize,
    },
    /// What is known of a server has changed: see [`crate::Router::discovery`].
    DiscoveryChanged {
        /// The name of the server.
        server: Arc<str>,
        /// The era of what has changed.
        era: Era,
    },
    /// A server was seen to do something new: see [`crate::Router::observed_behaviour`].
    BehaviourChanged {
        /// The name of the server.
        server: Arc<str>,
    },
    /// Tell the link of a client which tools may be called a second time when an answer was lost. This replaces what
    /// the link was told before.
    Repeatable {
        /// The client.
        client: ClientId,
        /// The tools, as this client calls them.
        tools: Vec<String>,
    },
    /// The instance is of no use: stop it, and answer with [`crate::Event::Down`] at once.
    GiveUp {
        /// The instance.
        instance: InstanceId,
        /// Why: a fragment that reads after "the server".
        reason: String,
    },
    /// Stop an instance. The router has forgotten it already.
    Stop {
        /// The instance.
        instance: InstanceId,
        /// Why: a fragment that reads after "the server".
        reason: String,
    },
}
