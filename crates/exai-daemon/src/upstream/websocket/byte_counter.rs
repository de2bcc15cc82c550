//! Counts the bytes that arrive, so that a long message that is still on its way is no silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncRead;
use tokio_util::io::InspectReader;

/// How many bytes have arrived. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct ByteCount(Arc<AtomicU64>);

/// A stream that counts what is read from it.
pub(super) type Counted<S> = InspectReader<S, Box<dyn FnMut(&[u8]) + Send>>;

impl ByteCount {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts what is read from a stream.
    pub(super) fn of<S: AsyncRead>(&self, stream: S) -> Counted<S> {
        let count = Arc::clone(&self.0);
        InspectReader::new(
            stream,
            Box::new(move |bytes| {
                count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }),
        )
    }
}
