//! Everything the router can ask for.

use std::sync::Arc;

use exai_proto::{Id, Segments};

use crate::types::ids::{ClientId, InstanceId};

/// Which of a client's requests a message to it belongs to. HTTP needs it to choose a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// It answers this request.
    Answer(Id),
    /// It came up while this request was being worked on.
    During(Id),
    /// It concerns the session as a whole.
    Session,
}

/// Everything the router can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this message to a client.
    ToClient {
        /// Whom.
        client: ClientId,
        /// What: one message, no line break.
        bytes: Segments,
        /// Which request it belongs to.
        about: About,
    },
    /// This request will get no answer: its client has cancelled it, or introduced itself anew.
    Dropped {
        /// Whose.
        client: ClientId,
        /// Which.
        id: Id,
    },
    /// A request that came too late to be served, and cannot be answered from memory.
    Unserved {
        /// Whose.
        client: ClientId,
        /// Which.
        id: Id,
    },
    /// Send this message to a server.
    ToServer {
        /// Which.
        instance: InstanceId,
        /// What: one message, no line break.
        bytes: Segments,
        /// The request's number, if it is one: if it cannot be sent, answer with [`crate::Event::Unsent`].
        number: Option<u64>,
    },
    /// Start a server; answer with [`crate::Event::Up`] or [`crate::Event::Down`].
    Start {
        /// The new instance.
        instance: InstanceId,
        /// The server's name.
        server: Arc<str>,
        /// The instance's number: it is shown as `NAME#NUMBER`.
        number: u32,
    },
    /// The server has answered `initialize`: the instance serves from now on.
    Ready {
        /// Which.
        instance: InstanceId,
    },
    /// The server has answered [`crate::Event::Ping`], by a result or an error.
    Pinged {
        /// Which.
        instance: InstanceId,
        /// How many bytes it was sent.
        sent: usize,
        /// How many bytes it answered with.
        answered: usize,
    },
    /// What is known of a server has changed: see [`crate::Router::discovery`].
    Learned {
        /// Its name.
        server: Arc<str>,
    },
    /// Something new was measured about a server: see [`crate::Router::traits`].
    Measured {
        /// Its name.
        server: Arc<str>,
    },
    /// Tell the client's link which of its tools may be called a second time when an answer was lost; this replaces
    /// what was said before.
    Repeatable {
        /// Whose link.
        client: ClientId,
        /// The tools, as this client calls them.
        tools: Vec<String>,
    },
    /// This instance is of no use: stop it, and answer with [`crate::Event::Down`] at once.
    GiveUp {
        /// Which.
        instance: InstanceId,
        /// Why: a fragment that reads after "the server".
        reason: String,
    },
    /// Stop a server. The router has forgotten the instance already.
    Stop {
        /// Which.
        instance: InstanceId,
        /// Why: a fragment that reads after "the server".
        reason: String,
    },
}
