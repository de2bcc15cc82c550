//! Turns: how many batches of one server or client may wait for the hub that hears them all.
//!
//! The hub of a daemon hears batches in the order in which they come. Without turns a connection or a job that sends
//! without end would fill the inbox of the hub, and all others would wait behind a thousand of its batches. With
//! turns each connection has at most [`TURNS`] batches in the inbox, and is not read again until the hub has heard
//! one. So connections alternate, and their number bounds the inbox.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::limits::TURNS;

/// The turns of one connection or job.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

/// The right to have one batch in the hub's inbox. Dropped when the hub has heard it.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    /// Tells a waiting task that the batch was heard.
    heard: Option<oneshot::Sender<()>>,
}

impl Turn {
    /// Waits until the hub has heard the batch and routed it. Returns false when it never will.
    pub fn heard(&mut self) -> impl Future<Output = bool> + use<> {
        let (sender, receiver) = oneshot::channel();
        self.heard = Some(sender);
        async { receiver.await.is_ok() }
    }

    /// Reports that the batch was routed.
    pub fn end(self) {
        if let Some(heard) = self.heard {
            // The waiting task may be gone.
            let _ = heard.send(());
        }
    }
}

impl Turns {
    /// A full set of free turns.
    #[expect(clippy::new_without_default, reason = "nobody needs one")]
    pub fn new() -> Self {
        Turns(Arc::new(Semaphore::new(TURNS)))
    }

    /// Waits for a free turn, in the order of the callers. Cancel safe.
    pub async fn next(&self) -> Turn {
        // The semaphore is never closed.
        Turn { _permit: self.0.clone().acquire_owned().await.ok(), heard: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_connection_waits_until_one_of_its_turns_was_heard_and_others_do_not() {
        let (one, other) = (Turns::new(), Turns::new());
        let heard = one.next().await;
        let _waits = one.next().await;
        assert!(one.next().now_or_never().is_none());
        assert!(other.next().now_or_never().is_some());
        drop(heard);
        assert!(one.next().now_or_never().is_some());
    }
}
