//! A queue of messages bounded by bytes, emptied in whole batches: what has gathered while the last batch
//! was being written is written next, with one system call if it fits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

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
    /// The queue holds as many bytes as it may.
    #[error("{queued} bytes wait to be written already")]
    Full {
        /// How many wait.
        queued: usize,
    },
    /// The queue was ended, by whoever fills it or because nobody reads any more.
    #[error("nobody reads what is written")]
    Closed,
}

/// How much may wait in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// While no more than this waits, one more message is taken, whatever its size: what waits says how slow the
    /// reader is, and the size of the next message says nothing about that.
    pub relaxed: usize,
    /// Beyond that, all messages together may have this many bytes.
    pub limit: usize,
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
        Bound { relaxed: 0, limit }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the drain.
    changed: Notify,
    /// Wakes all who wait for the end.
    ended: Notify,
    bound: Bound,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
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
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    /// Queues a message, or says why not; never waits.
    pub fn push(&self, message: Bytes) -> Result<(), Unsent> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(Unsent::Closed);
        }
        if !self.shared.bound.admits(state.bytes, message.len()) {
            return Err(Unsent::Full { queued: state.bytes });
        }
        state.bytes += message.len();
        state.queue.push_back(message);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Ends the queue: what is in it is still drained.
    pub fn close(&self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
        self.shared.ended.notify_waiters();
    }

    /// Drops what waits; a batch that is being written is no longer waiting.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.queue.clear();
        state.bytes = state.taken;
    }

    /// Waits until the queue is closed, by [`Outbox::close`] or by the end of its drain. Cancel safe; any
    /// number may wait.
    pub async fn closed(&self) {
        let mut ended = std::pin::pin!(self.shared.ended.notified());
        // From here on no call of `notify_waiters` is missed.
        ended.as_mut().enable();
        if !self.shared.state().closed {
            ended.await;
        }
    }

    /// How many bytes wait, those being written included.
    pub fn queued(&self) -> usize {
        self.shared.state().bytes
    }
}

impl Drain {
    /// Waits for messages and appends all there are to `batch`. Calling it again says that the last batch
    /// was written. Returns false when the queue is closed and empty. Cancel safe.
    pub async fn take(&mut self, batch: &mut Vec<Bytes>) -> bool {
        loop {
            {
                let mut state = self.shared.state();
                state.bytes -= std::mem::take(&mut state.taken);
                if !state.queue.is_empty() {
                    state.taken = state.queue.iter().map(Bytes::len).sum();
                    batch.extend(state.queue.drain(..));
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
        *state = State { closed: true, ..State::default() };
        drop(state);
        self.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn batches_come_in_order_and_bytes_are_bounded_until_they_are_written() {
        let (outbox, mut drain) = outbox(10);
        outbox.push(Bytes::from_static(b"12345")).unwrap();
        outbox.push(Bytes::from_static(b"678")).unwrap();
        assert_eq!(outbox.push(Bytes::from_static(b"901")), Err(Unsent::Full { queued: 8 }));
        let mut batch = Vec::new();
        assert!(drain.take(&mut batch).await);
        assert_eq!(batch, [&b"12345"[..], b"678"]);
        assert_eq!(outbox.queued(), 8, "a batch counts until the next one is asked for");
        outbox.close();
        batch.clear();
        assert!(!drain.take(&mut batch).await);
        assert_eq!(outbox.queued(), 0);
    }

    #[test]
    fn little_that_waits_admits_a_message_of_any_size_and_much_only_what_fits() {
        let bound = Bound { relaxed: 4, limit: 24 };
        for (waiting, message, admitted) in
            [(0, 32, true), (4, 32, true), (5, 19, true), (5, 20, false), (24, 0, true), (36, 1, false)]
        {
            assert_eq!(bound.admits(waiting, message), admitted, "{waiting} + {message}");
        }
        let plain = Bound::from(10);
        assert!(plain.admits(0, 11) && plain.admits(1, 9) && !plain.admits(1, 10));
    }

    #[tokio::test]
    async fn one_message_is_taken_whatever_its_size_and_nothing_after_the_end() {
        let (outbox, drain) = outbox(1);
        outbox.push(Bytes::from_static(b"larger than the limit")).unwrap();
        drop(drain);
        assert_eq!(outbox.queued(), 0);
        assert_eq!(outbox.push(Bytes::from_static(b"into the void")), Err(Unsent::Closed));
        assert_eq!(outbox.queued(), 0);
    }

    #[tokio::test]
    async fn what_waits_can_be_dropped_but_not_what_is_being_written() {
        let (outbox, mut drain) = outbox(10);
        outbox.push(Bytes::from_static(b"123")).unwrap();
        let mut batch = Vec::new();
        assert!(drain.take(&mut batch).await);
        outbox.push(Bytes::from_static(b"4567")).unwrap();
        outbox.clear();
        assert_eq!(outbox.queued(), 3);
        outbox.push(Bytes::from_static(b"89")).unwrap();
        batch.clear();
        assert!(drain.take(&mut batch).await);
        assert_eq!((&batch[..], outbox.queued()), (&[Bytes::from_static(b"89")][..], 2));
    }

    #[tokio::test]
    async fn all_who_wait_for_the_end_hear_of_it_from_either_side() {
        let (filled, drain) = outbox(1);
        let other = filled.clone();
        tokio::join!(filled.closed(), other.closed(), async { drop(drain) });
        filled.closed().await;
        let (filled, _drain) = outbox(1);
        tokio::join!(filled.closed(), async { filled.close() });
        filled.closed().await;
    }
}
