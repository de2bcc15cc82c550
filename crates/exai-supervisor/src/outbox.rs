//! A queue of messages, bounded by bytes and emptied in whole batches: the messages that gathered while the last
//! batch was being written are written next, with one system call if they fit.
//!
//! A waiting message may become useless: newer news replaces it, or it is the oldest of many messages of little use.
//! Such a message is dropped where it waits. The others keep their order, so no message ever overtakes another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use exai_proto::Segments;
use tokio::sync::Notify;

use crate::limits::MAX_GAPS;

/// The sending side. Cloning it makes another sender to the same queue.
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

/// The emptying side; there is one.
#[derive(Debug)]
pub struct Drain {
    shared: Arc<Shared>,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The queue is full.
    #[error("{queued} bytes wait to be written already")]
    Full {
        /// How many wait.
        queued: usize,
    },
    /// The queue was closed, by its sender or because its reader is gone.
    #[error("nobody reads what is written")]
    Closed,
}

/// How much may wait in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// While no more bytes than this wait, one more message is taken, whatever its size: the waiting bytes show how
    /// slow the reader is, and the size of the next message does not.
    pub relaxed: usize,
    /// Beyond that, all messages together may have this many bytes.
    pub limit: usize,
    /// How many messages may wait, whatever their size: a small message takes several times its length in memory.
    pub messages: usize,
}

impl Bound {
    /// Whether one more message may wait with the others.
    pub fn admits(self, waiting: usize, message: usize) -> bool {
        waiting <= self.relaxed || waiting.saturating_add(message) <= self.limit
    }
}

impl From<usize> for Bound {
    /// At most so many bytes. One message is always taken, so that a limit smaller than the longest message blocks
    /// nothing.
    fn from(limit: usize) -> Self {
        Bound { relaxed: 0, limit, messages: usize::MAX }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<QueueState>,
    /// Wakes the drain.
    changed: Notify,
    /// Wakes all tasks that wait for the end.
    ended: Notify,
    bound: Bound,
}

#[derive(Debug, Default)]
struct QueueState {
    /// In order; empty where a message was dropped.
    queue: Vec<Segments>,
    /// How many messages were dropped.
    gaps: usize,
    /// The place of the waiting news of each kind.
    latest: HashMap<Box<[u8]>, usize>,
    /// The places of the messages of little use, and how many of them were dropped since the last batch.
    expendable: VecDeque<usize>,
    dropped: usize,
    /// Bytes queued or being written.
    bytes: usize,
    /// Bytes of the batch that is being written.
    taken: usize,
    closed: bool,
}

/// A queue of so many bytes.
pub fn outbox(bound: impl Into<Bound>) -> (Outbox, Drain) {
    let bound = bound.into();
    let shared =
        Arc::new(Shared { state: Mutex::default(), changed: Notify::new(), ended: Notify::new(), bound });
    (Outbox { shared: shared.clone() }, Drain { shared })
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn drop_at(&mut self, at: usize) {
        self.bytes -= std::mem::take(&mut self.queue[at]).len();
        self.gaps += 1;
    }

    /// Closes the gaps when there are many more of them than messages, since they take room.
    fn close_gaps(&mut self) {
        if self.gaps <= MAX_GAPS || self.gaps * 2 <= self.queue.len() {
            return;
        }
        let mut next = 0;
        let moved = self.queue.iter().map(|message| {
            let place = next;
            next += usize::from(!message.is_empty());
            place
        });
        let moved: Vec<usize> = moved.collect();
        self.latest.values_mut().chain(&mut self.expendable).for_each(|at| *at = moved[*at]);
        self.queue.retain(|message| !message.is_empty());
        self.gaps = 0;
    }

    /// Forgets the places of messages, which are about to leave the queue.
    fn forget(&mut self) {
        (self.gaps, self.dropped) = (0, 0);
        self.latest.clear();
        self.expendable.clear();
    }
}

impl Outbox {
    /// Queues a message, or says why not. Never waits. An empty message is ignored.
    pub fn push(&self, message: impl Into<Segments>) -> Result<(), Unsent> {
        self.push_with(message, |_| ())
    }

    /// Queues news of this kind, and drops waiting news of the same kind.
    pub fn push_latest(&self, kind: &[u8], message: impl Into<Segments>) -> Result<(), Unsent> {
        self.push_with(message, |state| {
            if let Some(at) = state.latest.remove(kind) {
                state.drop_at(at);
            }
            state.latest.insert(kind.into(), state.queue.len());
        })
    }

    /// Queues a message of little use. When more than `most` of those wait, the oldest are dropped. Returns how many
    /// were dropped since the last batch.
    pub fn push_expendable(&self, message: impl Into<Segments>, most: usize) -> Result<usize, Unsent> {
        self.push_with(message, |state| {
            let at = state.queue.len();
            state.expendable.push_back(at);
            while state.expendable.len() > most {
                if let Some(oldest) = state.expendable.pop_front().filter(|&oldest| oldest != at) {
                    state.drop_at(oldest);
                    state.dropped += 1;
                }
            }
            state.dropped
        })
    }

    /// Queues a message at the end. `first` is done before the message gets its place.
    fn push_with<T>(
        &self,
        message: impl Into<Segments>,
        first: impl FnOnce(&mut QueueState) -> T,
    ) -> Result<T, Unsent> {
        let message = message.into();
        let mut state = self.shared.state();
        if state.closed {
            return Err(Unsent::Closed);
        }
        let waiting = state.queue.len() - state.gaps;
        let bound = self.shared.bound;
        if waiting >= bound.messages || !bound.admits(state.bytes, message.len()) {
            return Err(Unsent::Full { queued: state.bytes });
        }
        state.close_gaps();
        let done = first(&mut state);
        state.bytes += message.len();
        state.queue.push(message);
        drop(state);
        self.shared.changed.notify_one();
        Ok(done)
    }

    /// Closes the queue. The messages in it are still drained.
    pub fn close(&self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
        self.shared.ended.notify_waiters();
    }

    /// Drops the waiting messages, but not the batch that is being written.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.forget();
        state.queue.clear();
        state.bytes = state.taken;
    }

    /// Waits until the queue is closed, by [`Outbox::close`] or by the end of its drain. Cancel safe; any number of
    /// tasks may wait.
    pub async fn closed(&self) {
        let mut ended = std::pin::pin!(self.shared.ended.notified());
        // From here on no call of `notify_waiters` is missed.
        ended.as_mut().enable();
        if !self.shared.state().closed {
            ended.await;
        }
    }

    /// Whether a batch is being written because the reader has not taken all of it yet. A write on the same thread
    /// that does not have to wait is never seen here.
    pub fn is_stalled(&self) -> bool {
        self.shared.state().taken > 0
    }

    /// How many bytes wait, including those that are being written.
    pub fn queued(&self) -> usize {
        self.shared.state().bytes
    }
}

impl Drain {
    /// Waits for messages and appends all of them to `batch`. The next call reports that the last batch was written.
    /// Returns false when the queue is closed and empty. Cancel safe.
    pub async fn take(&mut self, batch: &mut Vec<Segments>) -> bool {
        loop {
            {
                let mut state = self.shared.state();
                state.bytes -= std::mem::take(&mut state.taken);
                if !state.queue.is_empty() {
                    state.taken = state.queue.iter().map(Segments::len).sum();
                    state.forget();
                    batch.extend(state.queue.drain(..).filter(|message| !message.is_empty()));
                    return true;
                }
                if state.closed {
                    return false;
                }
            }
            self.shared.changed.notified().await;
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        *state = QueueState { closed: true, ..QueueState::default() };
        drop(state);
        self.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
