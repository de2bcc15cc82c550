//! Events of a server, beside those of its job.

use std::io;

use bytes::Bytes;
use exai_config::Via;
use exai_mux::Down;
use exai_supervisor::Job;
use exai_supervisor::record::TreeRecord;

use crate::upstream::conversation_event::ConversationEvent;
use crate::upstream::http::remote_client::RemoteClient;
use crate::upstream::http::target::{HttpTarget, OwnTarget};

/// An event of a server.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    /// The program was started, or could not be started.
    Started(Result<Started, Down>),
    /// An event of a server with a URL.
    Conversation(ConversationEvent),
    /// The built-in server is sent this message.
    BuiltinAsked(Bytes),
    /// The built-in server answers with this message.
    BuiltinAnswered(Bytes),
}

/// A server that was started, or that runs elsewhere and can be spoken to.
#[derive(Debug)]
pub(crate) enum Started {
    Process(Box<StartedProcess>),
    Remote(RemoteWay, Box<HttpTarget>, RemoteClient),
}

/// What is spoken with a server that runs elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemoteWay {
    Http,
    WebSocket,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct StartedProcess {
    pub(crate) job: Job,
    pub(crate) record: TreeRecord,
    /// Whether the record could be written.
    pub(crate) written: io::Result<()>,
    pub(crate) max_processes: u32,
    /// The URL of a server that opens its own port.
    pub(crate) target: Option<OwnTarget>,
    /// The machine that it leads to, if it is ssh.
    pub(crate) via: Option<Via>,
}
