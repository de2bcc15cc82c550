//! What the hub hears of a server that it reaches by URL.

use exai_supervisor::Line;
use exai_supervisor::turns::Turn;

use crate::upstream::server_output::Garbled;

/// What the hub hears of such a server.
#[derive(Debug)]
pub(crate) enum Event {
    /// One of its own processes listens: it can be spoken to.
    Up,
    /// It said something. More is taken from it once its turn was dropped.
    Said(Line, Turn),
    /// It said what is no message.
    Garbled(Garbled, Turn),
    /// It is of no use any more; the reason reads after "the server". No other event follows.
    Failed(String),
    /// After [`HttpUpstream::close`](super::HttpUpstream::close): the session has ended. No other event follows.
    Closed,
}
