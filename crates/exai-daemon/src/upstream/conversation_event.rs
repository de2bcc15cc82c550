//! Events of a conversation that the daemon holds itself: with a server that has a URL, over HTTP or WebSocket.

use exai_supervisor::Line;
use exai_supervisor::turns::Turn;

use crate::upstream::server_output::Garbled;

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
    /// After the daemon has asked for it: the conversation has ended. No other event follows.
    Closed,
}
