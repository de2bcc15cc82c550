//! Everything that can happen to the router, and everything it can ask for.

use std::fmt;
use std::sync::Arc;

use exai_proto::answer::Failure;
use exai_proto::{Id, Message, Segments};

use crate::discovery::Discovery;
use crate::policy::Policy;
use crate::traits::Traits;

/// One conversation with a client. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// One run of a server. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u64);

/// What a client is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// All servers, with `server__tool` names.
    All,
    /// One server, names untouched.
    One(Arc<str>),
}

/// Everything that can happen to the router.
#[derive(Debug)]
pub enum Event {
    /// The configuration, at the start and whenever it changes. Servers keep the order of the file.
    Configured {
        /// All servers.
        policies: Vec<Policy>,
    },
    /// What a server said of itself when it ran before this router was there.
    Known {
        /// Its name.
        server: Arc<str>,
        /// The revision of the policy that it ran under: it may be configured in another way by now.
        revision: u64,
        /// What it said.
        discovery: Discovery,
    },
    /// What was measured about a server before this router was there.
    Traits {
        /// Its name.
        server: Arc<str>,
        /// What was seen.
        traits: Traits,
    },
    /// A client connected.
    Opened {
        /// Its id.
        client: ClientId,
        /// What it wants.
        endpoint: Endpoint,
    },
    /// A client said something.
    FromClient {
        /// Who.
        client: ClientId,
        /// What.
        message: Message,
    },
    /// A client said something while the daemon drains: a request is answered from memory, or with
    /// [`Effect::Unserved`], and reaches no server.
    Late {
        /// Who.
        client: ClientId,
        /// What.
        message: Message,
    },
    /// A client is gone.
    Closed {
        /// Who.
        client: ClientId,
    },
    /// A server process runs and can be written to.
    Up {
        /// Which.
        instance: InstanceId,
    },
    /// A server said something.
    FromServer {
        /// Which.
        instance: InstanceId,
        /// What.
        message: Message,
    },
    /// A server said what is no message, though it may have been meant to be one.
    Garbled {
        /// Which.
        instance: InstanceId,
        /// What can be told of it.
        garbled: Garbled,
    },
    /// A request could not be sent.
    Unsent {
        /// Which.
        instance: InstanceId,
        /// The request.
        number: u64,
        /// Why.
        why: Unsent,
    },
    /// A server process is gone, or could not be started.
    Down {
        /// Which.
        instance: InstanceId,
        /// Why.
        why: Down,
    },
    /// Ask a ready instance for a ping; answered with [`Effect::Pinged`] if the server answers.
    Ping {
        /// Which.
        instance: InstanceId,
    },
    /// Somebody asked for a server to be started anew.
    Restart {
        /// Its name.
        server: Arc<str>,
    },
    /// Somebody wants to know what a server offers before it is used: it is started, and asked for its lists.
    Warm {
        /// Its name.
        server: Arc<str>,
    },
    /// Time has passed; see [`crate::Router::next_tick`].
    Tick,
}

/// What can be told of something that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbled {
    /// Its id, if that could be read.
    pub id: Option<Id>,
    /// It was meant to be a request or a notification; otherwise an answer.
    pub asks: bool,
    /// What is wrong with it: a fragment that reads after "the server".
    pub text: String,
    /// What its caller is told that the failure is.
    pub failure: Failure,
}

/// Why a request could not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// Too much waits for the server to read.
    Full,
    /// The server reads no more, and its end follows. The request, as it was to be sent, goes to its next run.
    Ending(Segments),
}

/// Why an instance is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// A fragment that reads after "the server": "exited with status 1".
    pub reason: String,
    /// The last lines it wrote to stderr; empty if none.
    pub stderr_tail: String,
    /// Who says more of it.
    pub see: See,
}

/// Where more is known of why an instance is gone than the reason says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum See {
    /// In the server's log: its program ran.
    Log,
    /// `exai doctor` looks for what it lacks: a program, a directory, a variable.
    Doctor,
    /// Nowhere.
    Nobody,
}

impl Down {
    /// A reason without words of the server's own.
    pub fn because(reason: impl Into<String>) -> Self {
        Down { reason: reason.into(), stderr_tail: String::new(), see: See::Log }
    }

    /// Why it could not be started, of which the reason says all.
    pub fn not_started(reason: impl Into<String>) -> Self {
        Down { see: See::Nobody, ..Down::because(reason) }
    }

    /// The command that shows more.
    pub fn command(&self, server: &str) -> Option<String> {
        match self.see {
            See::Log => Some(format!("exai logs {server}")),
            See::Doctor => Some("exai doctor".to_owned()),
            See::Nobody => None,
        }
    }
}

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
        /// The request's number, if it is one: if it cannot be sent, answer with [`Event::Unsent`].
        number: Option<u64>,
    },
    /// Start a server; answer with [`Event::Up`] or [`Event::Down`].
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
    /// The server has answered [`Event::Ping`], by a result or an error.
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
    /// This instance is of no use: stop it, and answer with [`Event::Down`] at once.
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
