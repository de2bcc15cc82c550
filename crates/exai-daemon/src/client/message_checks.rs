//! Long messages are checked on another thread: to read through 32 MiB takes tens of milliseconds, in which nobody else
//! would be served. One at a time, so that several of them leave a processor to the others; who has said such a message
//! is not read on meanwhile, so that the order of what one peer says stays.

use std::sync::Arc;

use bytes::Bytes;
use exai_proto::ParseError;
use exai_proto::limits::LONG_BYTES;
use tokio::sync::Semaphore;

use crate::client::inbound::Inbound;

/// Whose turn it is. All copies are one.
#[derive(Debug, Clone)]
pub(crate) struct MessageChecks(Arc<Semaphore>);

impl Default for MessageChecks {
    fn default() -> Self {
        MessageChecks(Arc::new(Semaphore::new(1)))
    }
}

impl MessageChecks {
    /// Takes in what a client has said; the error says that it is not UTF-8.
    pub(crate) async fn take(&self, inbound: &mut Inbound, bytes: Bytes) -> Result<(), ParseError> {
        if bytes.len() < LONG_BYTES {
            return inbound.take(bytes);
        }
        let mut taken = std::mem::take(inbound);
        let done = self.run(move || {
            let outcome = taken.take(bytes);
            // The router asks for them, and they stay with the message.
            for message in &taken.messages {
                message.params();
            }
            (taken, outcome)
        });
        match done.await {
            Some((taken, outcome)) => {
                *inbound = taken;
                outcome
            }
            // The daemon ends.
            None => Ok(()),
        }
    }

    /// Does something long elsewhere. `None` when it could not be done: the daemon ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = self.0.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Bytes {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":"{}"}}}}"#, "x".repeat(length));
        text.into()
    }

    #[tokio::test]
    async fn long_and_short_ones_stay_in_order_and_the_loop_turns_while_a_long_one_is_checked() {
        let checks = MessageChecks::default();
        let busy = checks.clone();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        // Another long one is being checked: this one waits for its turn, and the loop does not.
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let _ = busy.run(move || gone.recv()).await;
            None
        });
        tokio::task::yield_now().await;
        let mut inbound = Inbound::default();
        checks.take(&mut inbound, message(10)).await.expect("UTF-8");
        tasks.spawn(async move {
            let taken = checks.take(&mut inbound, message(LONG_BYTES)).await;
            Some((inbound, taken))
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(tasks.try_join_next().is_none(), "it is not checked here");
        go.send(()).expect("it waits");
        let (inbound, taken) = tasks.join_all().await.into_iter().flatten().next().expect("the long one");
        assert_eq!(taken, Ok(()));
        let lengths: Vec<usize> = inbound.messages.iter().map(|message| message.bytes().len()).collect();
        assert!(lengths.len() == 2 && lengths[0] < lengths[1], "{lengths:?}");
    }
}
