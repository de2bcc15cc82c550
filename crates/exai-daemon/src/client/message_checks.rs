//! Long messages are checked on another thread: reading through 32 MiB takes tens of milliseconds, in which no other client
//! would be served. One message is checked at a time, so that several long messages leave a processor to other work. The
//! client is not read during the check of its message, so that the order of its messages stays.

use std::sync::Arc;

use bytes::Bytes;
use exai_proto::ParseError;
use exai_proto::limits::LONG_BYTES;
use tokio::sync::Semaphore;

use crate::client::inbound::Inbound;

/// Admits one check at a time. All clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MessageChecks(Arc<Semaphore>);

impl Default for MessageChecks {
    fn default() -> Self {
        MessageChecks(Arc::new(Semaphore::new(1)))
    }
}

impl MessageChecks {
    /// Checks input of a client and adds it to `inbound`. The only error is that the input is not UTF-8.
    pub(crate) async fn check_input(&self, inbound: &mut Inbound, bytes: Bytes) -> Result<(), ParseError> {
        if bytes.len() < LONG_BYTES {
            return inbound.add_input(bytes);
        }
        let mut checked = std::mem::take(inbound);
        let done = self.run_check(move || {
            let outcome = checked.add_input(bytes);
            // The router needs the parameters, and the message keeps them.
            for message in &checked.messages {
                message.params();
            }
            (checked, outcome)
        });
        match done.await {
            Some((checked, outcome)) => {
                *inbound = checked;
                outcome
            }
            // The daemon ends.
            None => Ok(()),
        }
    }

    /// Runs a long check on another thread, after those before it. `None` if it could not run: the daemon ends.
    pub(crate) async fn run_check<T: Send + 'static>(
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
        // While another long message is checked, this one waits for its turn, but the loop goes on.
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let _ = busy.run_check(move || gone.recv()).await;
            None
        });
        tokio::task::yield_now().await;
        let mut inbound = Inbound::default();
        checks.check_input(&mut inbound, message(10)).await.expect("UTF-8");
        tasks.spawn(async move {
            let taken = checks.check_input(&mut inbound, message(LONG_BYTES)).await;
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
