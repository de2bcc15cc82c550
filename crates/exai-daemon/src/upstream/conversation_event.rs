//! Events of a conversation that the daemon holds itself: with a server that has a URL, over HTTP or WebSocket.

use std::sync::Arc;

use exai_mux::{Down, See};
use exai_supervisor::Line;
use exai_supervisor::turns::Turn;

use crate::upstream::server_output::Garbled;
use crate::upstream::sign_ins::Cause;

/// An event of such a conversation.
#[derive(Debug)]
pub(crate) enum ConversationEvent {
    /// The server can be sent messages. One that the daemon has started listens now.
    Up,
    /// The server said something. It is read on once the turn was dropped.
    Said(Line, Turn),
    /// The server said something that is no message.
    Garbled(Garbled, Turn),
    /// The server cannot be used any more. The reason reads after "the server". No other event follows.
    Failed(String),
    /// The server does not speak to us until somebody signs in. No other event follows.
    SignedOut(SignInWanted),
    /// The server, which has introduced itself, refuses what is asked until somebody signs in.
    SignInEnded(SignInWanted),
    /// After that: it has taken a request again.
    SignInTaken,
    /// After the daemon has asked for it: the conversation has ended. No other event follows.
    Closed,
}

/// A person must sign in at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignInWanted {
    /// Reads after "the server", and names the command.
    pub(crate) reason: String,
    /// The page to open; `None` when there is no way to one now.
    pub(crate) page: Option<Arc<str>>,
    pub(crate) cause: Cause,
}

impl SignInWanted {
    /// Why no request is sent to the server.
    pub(crate) fn into_down(self) -> Down {
        Down { see: See::SignIn { page: self.page }, ..Down::because(self.reason) }
    }
}
