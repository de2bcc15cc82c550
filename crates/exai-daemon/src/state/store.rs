//! Files that the daemon keeps for the next daemon. A task of its own writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::limits::MAX_RETRIED_BYTES;
use exai_os::private;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// The text of a revision in these files.
pub(crate) fn revision_text(revision: u64) -> String {
    format!("{revision:016x}")
}

/// Makes the text of a file.
type Text = Box<dyn FnOnce() -> io::Result<Vec<u8>> + Send>;

/// How long the store waits before it tries a failed write again: a full disk may have room then.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Writes whole files. A file that changes while it is being written is written once more afterwards, with its newest
/// text. A write that fails is tried again.
#[derive(Debug)]
pub(crate) struct Store(Arc<Shared>);

#[derive(Default)]
struct Shared {
    unsaved: Mutex<BTreeMap<PathBuf, Text>>,
    changed: Notify,
    /// The store was dropped: nothing is added to `unsaved` any more.
    closing: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Store {
    /// Starts the task that writes. After the store was dropped, the task writes what is left and ends.
    pub(crate) fn start(tasks: &TaskTracker) -> Self {
        let store = Store(Arc::default());
        let shared = store.0.clone();
        tasks.spawn(async move {
            let mut failing = BTreeSet::new();
            loop {
                let unsaved = std::mem::take(&mut *shared.unsaved());
                if unsaved.is_empty() {
                    if shared.closing.load(Ordering::Relaxed) {
                        return;
                    }
                    shared.changed.notified().await;
                    continue;
                }
                // The disk may be slow.
                let before = std::mem::take(&mut failing);
                let write = tokio::task::spawn_blocking(move || write_files(unsaved, &before));
                let unwritten = write.await.unwrap_or_default();
                if unwritten.is_empty() || shared.closing.load(Ordering::Relaxed) {
                    continue;
                }
                failing = unwritten.keys().cloned().collect();
                // A newer text and the end of the store do not wait.
                let _ = tokio::time::timeout(RETRY_INTERVAL, shared.changed.notified()).await;
                let mut unsaved = shared.unsaved();
                for (path, text) in unwritten {
                    unsaved.entry(path).or_insert_with(|| Box::new(move || Ok(text)));
                }
            }
        });
        store
    }

    /// Queues a file to be written. `text` runs on another thread as well, since it may take long.
    pub(crate) fn queue_write(
        &self,
        path: PathBuf,
        text: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
    ) {
        self.0.unsaved().insert(path, Box::new(text));
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn unsaved(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Text>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// Writes these files. Returns the texts that could not be written. The log already says that writing the files in
/// `failing` failed.
fn write_files(unsaved: BTreeMap<PathBuf, Text>, failing: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut unwritten = BTreeMap::new();
    for (path, text) in unsaved {
        let mut kept = Vec::new();
        let written = text().and_then(|text| {
            let written = private::replace(&path, &text);
            kept = text;
            written
        });
        let Err(error) = written else { continue };
        if !failing.contains(&path) {
            tracing::warn!(path = %path.display(), %error, "what is known cannot be kept for the next daemon yet");
        }
        if !kept.is_empty() && kept.len() <= MAX_RETRIED_BYTES {
            unwritten.insert(path, kept);
        }
    }
    unwritten
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_could_not_be_written_is_written_when_it_can_be() {
        let dir = tempfile::tempdir().expect("a directory");
        let missing = dir.path().join("missing");
        let tasks = TaskTracker::new();
        let store = Store::start(&tasks);
        // The store makes the texts in the order of their paths, so this text shows that it has tried the files before.
        let tried = |name: &str| {
            let (tell, told) = tokio::sync::oneshot::channel();
            store.queue_write(dir.path().join(name), move || {
                let _ = tell.send(());
                Ok(b"x".to_vec())
            });
            told
        };
        store.queue_write(missing.join("file"), || Ok(b"old".to_vec()));
        tried("z1").await.expect("it is tried");
        assert!(!missing.exists());
        std::fs::create_dir(&missing).expect("a directory");
        tried("z2").await.expect("it is tried");
        assert_eq!(std::fs::read(missing.join("file")).expect("it is written"), b"old");
        store.queue_write(missing.join("file"), || Ok(b"new".to_vec()));
        drop(store);
        tasks.close();
        tasks.wait().await;
        assert_eq!(std::fs::read(missing.join("file")).expect("it is written"), b"new");
    }
}
