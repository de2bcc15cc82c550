//! The event stream on which a server of the HTTP+SSE transport says everything.

use super::answer::Answer;
use super::event_stream::{Event, Events};
use super::outgoing::Asked;

/// Such a stream, behind its first event.
#[derive(Debug)]
pub(super) struct OpenStream {
    /// The `initialize` that the stream was opened for.
    pub(super) asked: Asked,
    pub(super) answer: Answer,
    pub(super) events: Events,
    /// What came together with the first event.
    pub(super) early: Vec<Event>,
}
