//! Everything that can happen to the router.

use std::sync::Arc;
use std::time::Duration;

use exai_proto::answer::Failure;
use exai_proto::{Id, Message, Segments};

use crate::types::account::{self, Account};
use crate::types::choice::{Choice, ClientName};
use crate::types::discovery::Discovery;
use crate::types::era::Era;
use crate::types::era_verdict::EraVerdict;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::observed_behaviour::ObservedBehaviour;
use crate::types::policy::Policy;

/// Everything that can happen to the router.
#[derive(Debug)]
pub enum Event {
    /// What the configuration lets clients see, by name, at the start and whenever it changes. It comes before
    /// [`Event::Configured`], so that nobody is told of a new server that is not for them.
    Chosen {
        /// The choices. A client whose name is missing sees everything.
        choices: Vec<(Arc<str>, Choice)>,
    },
    /// The accounts of servers that have several, at the start and whenever they change. It comes before
    /// [`Event::Configured`], which has a policy for each of them, under the name [`Account::joined`].
    Accounts {
        /// The accounts, in the order of the configuration.
        accounts: Vec<Account>,
    },
    /// The configuration, at the start and whenever it changes. Servers keep the order of the file.
    Configured {
        /// All servers.
        policies: Vec<Policy>,
    },
    /// What an earlier daemon knew of a server.
    DiscoveryKnown {
        /// The name of the server.
        server: Arc<str>,
        /// The revision of the policy under which the server ran. The policy may have changed since.
        revision: u64,
        /// What was known.
        discovery: Discovery,
    },
    /// What an earlier daemon has seen a server do.
    BehaviourKnown {
        /// The name of the server.
        server: Arc<str>,
        /// What was seen.
        behaviour: ObservedBehaviour,
        /// Which eras the server was seen to speak, and not to speak, and how long ago.
        eras: Vec<(Era, EraVerdict, Duration)>,
    },
    /// A client connected.
    Opened {
        /// The id of the client.
        client: ClientId,
        /// What the client connects to.
        endpoint: Endpoint,
        /// The name by which the configuration knows the client.
        name: ClientName,
        /// The absolute path of the directory in which the client works, if it is known for certain.
        directory: Option<Arc<str>>,
        /// Whether the client is no lasting conversation but a connection over which requests of the modern era come:
        /// the next request of the same program may come over another.
        stateless: bool,
    },
    /// A client sent a message.
    FromClient {
        /// The client.
        client: ClientId,
        /// The message.
        message: Message,
    },
    /// A client sent a message while the daemon drains. A request is answered from memory or with
    /// [`crate::Effect::Unserved`], and reaches no server.
    FromClientWhileDraining {
        /// The client.
        client: ClientId,
        /// The message.
        message: Message,
    },
    /// A client is gone.
    Closed {
        /// The client.
        client: ClientId,
    },
    /// A server process runs and can be written to.
    Up {
        /// The instance.
        instance: InstanceId,
    },
    /// A server sent a message.
    FromServer {
        /// The instance.
        instance: InstanceId,
        /// The message.
        message: Message,
    },
    /// A server sent something that is no message, though it may have been meant to be one.
    Unreadable {
        /// The instance.
        instance: InstanceId,
        /// What can be said of it.
        unreadable: Unreadable,
    },
    /// A request could not be sent.
    Unsent {
        /// The instance.
        instance: InstanceId,
        /// The number of the request.
        number: u64,
        /// Why it could not be sent.
        why: Unsent,
    },
    /// A server process is gone, or could not be started.
    Down {
        /// The instance.
        instance: InstanceId,
        /// Why the instance is gone.
        why: Down,
    },
    /// Ask a ready instance for a ping; answered with [`crate::Effect::Pinged`] if the server answers.
    Ping {
        /// The instance.
        instance: InstanceId,
    },
    /// A person wants a server to be started anew.
    Restart {
        /// The name of the server.
        server: Arc<str>,
    },
    /// A person wants to know what a server offers before it is used: the server is started, and asked for its lists.
    WarmUp {
        /// The name of the server.
        server: Arc<str>,
    },
    /// A running server answers nothing more until somebody signs in. What is under way goes on.
    SignInEnded {
        /// The name of the server.
        server: Arc<str>,
        /// What clients are told.
        why: Down,
    },
    /// What kept a server from being started is over: somebody has signed in there. Calls may start it again at once, and
    /// its lists are asked for, so that clients hear of them.
    Recovered {
        /// The name of the server.
        server: Arc<str>,
    },
    /// Time has passed; see [`crate::Router::next_tick`].
    Tick,
}

/// What can be said of something that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The id, if it could be read.
    pub id: Option<Id>,
    /// Whether it was meant to be a request or a notification; otherwise it was meant to be an answer.
    pub asks: bool,
    /// What is wrong: a fragment that reads after "the server".
    pub text: String,
    /// The failure that the client that waits for the answer is told.
    pub failure: Failure,
}

/// Why a request could not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// Too much waits for the server to read.
    Full,
    /// The server reads no more, and will end. The request, as it was to be sent, goes to the next instance.
    Ending(Segments),
}

/// Why an instance is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// A fragment that reads after "the server": "exited with status 1".
    pub reason: String,
    /// The last lines that the server wrote to stderr; empty if there are none.
    pub stderr_tail: String,
    /// Where to read more.
    pub see: See,
}

/// Where to read more about the end of an instance than the reason says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum See {
    /// In the server's log: its program ran.
    Log,
    /// `exai doctor` looks for what the server lacks: a program, a directory, a variable.
    Doctor,
    /// `exai login`: a person must sign in at the server.
    SignIn {
        /// The page to open; `None` when there is no way to one now.
        page: Option<Arc<str>>,
    },
    /// Nowhere.
    Nobody,
}

impl Down {
    /// A reason without any stderr of the server.
    pub fn because(reason: impl Into<String>) -> Self {
        Down { reason: reason.into(), stderr_tail: String::new(), see: See::Log }
    }

    /// Why a server could not be started; the reason says all.
    pub fn not_started(reason: impl Into<String>) -> Self {
        Down { see: See::Nobody, ..Down::because(reason) }
    }

    /// The command that shows more.
    pub fn command(&self, server: &str) -> Option<String> {
        match &self.see {
            See::Log => Some(format!("exai logs {}", account::split(server).0)),
            See::Doctor => Some("exai doctor".to_owned()),
            See::SignIn { .. } => Some(account::login_command(server)),
            See::Nobody => None,
        }
    }
}
