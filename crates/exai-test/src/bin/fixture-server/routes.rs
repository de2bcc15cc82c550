//! The destination of each message over HTTP: the request that waits for it, or the general stream.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::Message;

/// The open requests and streams, which get all output of the server.
#[derive(Clone, Default)]
pub(crate) struct Routes(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(crate) struct Inner {
    /// The requests that wait for their answers, the newest last: the id, whether the response may carry more messages
    /// than the answer, and the way to the thread of the request.
    pub(crate) waiting: Vec<(String, bool, Sender<String>)>,
    /// The stream that the client opened with GET, for all messages that belong to no request.
    pub(crate) stream: Option<Sender<String>>,
    /// Streams that were broken off, by the id of their last event.
    pub(crate) broken_off: HashMap<String, Receiver<String>>,
    pub(crate) session: Option<String>,
    pub(crate) sessions: u64,
    pub(crate) posts: u64,
    /// Whether a stream was broken off for good.
    pub(crate) broke: bool,
}

impl Routes {
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a text to the request `id`, which waits for its answer.
    pub(crate) fn answer(&self, id: &str, line: &str) {
        let mut inner = self.inner();
        let Some(place) = inner.waiting.iter().position(|(waiting, ..)| waiting == id) else { return };
        let (_, _, sender) = inner.waiting.remove(place);
        // The client may have closed the connection.
        let _ = sender.send(line.to_owned());
    }

    /// Sends an answer to the request that waits for it. A message that arises during a call goes to the newest call
    /// whose response may carry more than its answer; all other messages go to the general stream.
    pub(crate) fn write(&self, line: &str) {
        let Some(message) = Message::parse(line) else { return };
        if message.method.is_none() {
            return self.answer(message.id.as_deref().unwrap_or_default(), line);
        }
        let inner = self.inner();
        let of_session = message
            .method
            .is_some_and(|method| method.ends_with("/list_changed") || method.ends_with("/updated"));
        let call = inner.waiting.iter().rev().find(|(_, more, _)| *more && !of_session);
        if let Some(to) = call.map(|(.., sender)| sender).or(inner.stream.as_ref()) {
            let _ = to.send(line.to_owned());
        }
    }
}
