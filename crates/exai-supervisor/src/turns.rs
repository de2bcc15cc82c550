//! Turns: how much of what one server or client says may wait for whoever hears them all.
//!
//! The hub of a daemon hears batches in the order in which they come. Without turns a connection or a job that talks
//! without end would fill its inbox, and everybody else would wait behind a thousand batches of it. With them each has at
//! most [`TURNS`] batches in the inbox and is not read until the hub has heard one, so they alternate, and what waits in
//! the inbox is bounded by how many there are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub use crate::limits::TURNS;

/// The turns of one connection or job.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

/// The right to have one batch in the hub's inbox. Dropped when the hub has heard it.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    /// Somebody waits until it was heard.
    heard: Option<oneshot::Sender<()>>,
}

impl Turn {
    /// Whether the hub has heard the batch and routed it; false when it never will.
    pub fn heard(&mut self) -> impl Future<Output = bool> + use<> {
        let (sender, receiver) = oneshot::channel();
        self.heard = Some(sender);
        async { receiver.await.is_ok() }
    }

    /// The batch was routed.
    pub fn end(self) {
        if let Some(heard) = self.heard {
            // Whoever asked may be gone.
            let _ = heard.send(());
        }
    }
}

impl Turns {
    /// All of them are free.
    #[expect(clippy::new_without_default, reason = "nobody needs one")]
    pub fn new() -> Self {
        Turns(Arc::new(Semaphore::new(TURNS)))
    }

    /// Waits for a turn, first come, first served. Cancel safe.
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
