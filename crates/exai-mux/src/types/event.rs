//! Everything that can happen to the router.

use std::sync::Arc;

use exai_proto::answer::Failure;
use exai_proto::{Id, Message, Segments};

use crate::types::discovery::Discovery;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::observed_behaviour::Traits;
use crate::types::policy::Policy;

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
    /// [`crate::Effect::Unserved`], and reaches no server.
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
    /// Ask a ready instance for a ping; answered with [`crate::Effect::Pinged`] if the server answers.
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
