//! A running server, however it is reached. Another kind of upstream is another file that implements [`Upstream`].

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use exai_mux::See;
use exai_proto::Segments;
use exai_supervisor::Ended;
use exai_supervisor::outbox::Unsent;

/// A running server. No method waits.
pub(crate) trait Upstream: Debug + Send {
    /// Queues a message for the server. A request has a number.
    fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent>;

    /// Begins to stop the server; each step may take `grace`. Says whether an event follows when the server has ended.
    fn stop(&self, grace: Duration) -> Stop;

    /// Whether the server can be sent messages as soon as it runs. If not, an event says when.
    fn is_up(&self) -> bool {
        true
    }

    /// The process that was started, for a server that has one.
    fn root_pid(&self) -> Option<u32> {
        None
    }

    /// Where to read more about a failure of the server than its reason says.
    fn where_to_look(&self) -> See {
        See::Log
    }

    /// The last lines that the server wrote to stderr.
    fn stderr_tail(&self) -> String {
        String::new()
    }

    /// The server has said a message of MCP.
    fn note_message(&mut self) {}

    /// The server has printed a line for people where only messages may be. The line goes where stderr goes.
    fn print(&mut self, _line: &Bytes) {}

    /// There is no session (any more) that would have to be ended before the processes.
    fn forget_session(&mut self) {}

    /// Adds to the reason of a failure what only the upstream knows.
    fn explain(&self, reason: String) -> String {
        reason
    }

    /// The reason of an end that nobody has asked for.
    fn explain_end(&self, ended: &Ended) -> String {
        self.explain(ended.reason.clone())
    }
}

/// What follows [`Upstream::stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// An event says when the server has ended.
    Begun,
    /// Nothing: there is nothing to wait for.
    Done,
}
