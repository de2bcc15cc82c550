//! Where the server's messages go over HTTP: to the request that waits for them, or to the stream.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::Message;

/// Where what the server writes goes to.
#[derive(Clone, Default)]
pub(crate) struct Routes(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(crate) struct Inner {
    /// The requests that wait for their answers, the newest last: id, and whether more than the answer may
    /// be sent there.
    pub(crate) waiting: Vec<(String, bool, Sender<String>)>,
    /// The stream for everything else.
    pub(crate) stream: Option<Sender<String>>,
    /// Streams that were broken off, by the id of their last event.
    pub(crate) broken_off: HashMap<String, Receiver<String>>,
    pub(crate) session: Option<String>,
    pub(crate) sessions: u64,
    pub(crate) posts: u64,
    /// A stream was broken off for good.
    pub(crate) broke: bool,
}

impl Routes {
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a text to whoever waits for the answer to this request.
    pub(crate) fn answer(&self, id: &str, line: &str) {
        let mut inner = self.inner();
        let Some(place) = inner.waiting.iter().position(|(waiting, ..)| waiting == id) else { return };
        let (_, _, sender) = inner.waiting.remove(place);
        // It may have been hung up.
        let _ = sender.send(line.to_owned());
    }

    /// Sends an answer to whoever waits for it; what comes up during a call to the newest call, if it can be
    /// told more than its answer; the rest to the stream.
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
