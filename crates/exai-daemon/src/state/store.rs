//! Files that the daemon keeps for the next one, written beside its work.

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

/// A revision as these files hold it.
pub(crate) fn revision_text(revision: u64) -> String {
    format!("{revision:016x}")
}

/// Makes the text of a file.
type Text = Box<dyn FnOnce() -> io::Result<Vec<u8>> + Send>;

/// When what could not be written is tried again: a disk that is full may have room then.
const AGAIN: Duration = Duration::from_secs(5);

/// Writes files, each whole. What changes while it is being written is written once more after that, as it is then, and
/// what cannot be written is tried again.
#[derive(Debug)]
pub(crate) struct Store(Arc<Shared>);

#[derive(Default)]
struct Shared {
    unsaved: Mutex<BTreeMap<PathBuf, Text>>,
    changed: Notify,
    /// The store is gone: what is unsaved now is the last.
    closing: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Store {
    /// Starts the task that writes. It ends after this store, when all is written.
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
                let write = tokio::task::spawn_blocking(move || write(unsaved, &before));
                let owed = write.await.unwrap_or_default();
                if owed.is_empty() || shared.closing.load(Ordering::Relaxed) {
                    continue;
                }
                failing = owed.keys().cloned().collect();
                // Something newer, or the end, does not wait.
                let _ = tokio::time::timeout(AGAIN, shared.changed.notified()).await;
                let mut unsaved = shared.unsaved();
                for (path, text) in owed {
                    unsaved.entry(path).or_insert_with(|| Box::new(move || Ok(text)));
                }
            }
        });
        store
    }

    /// Has a file written. `text` is made beside the daemon's work as well.
    pub(crate) fn keep(&self, path: PathBuf, text: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static) {
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

/// Returns what could not be written. `failing` are those of which that was said before.
fn write(unsaved: BTreeMap<PathBuf, Text>, failing: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut owed = BTreeMap::new();
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
            owed.insert(path, kept);
        }
    }
    owed
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
        // Texts are made in the order of their paths, so this one tells that what comes before it was tried.
        let tried = |name: &str| {
            let (tell, told) = tokio::sync::oneshot::channel();
            store.keep(dir.path().join(name), move || {
                let _ = tell.send(());
                Ok(b"x".to_vec())
            });
            told
        };
        store.keep(missing.join("file"), || Ok(b"old".to_vec()));
        tried("z1").await.expect("it is tried");
        assert!(!missing.exists());
        std::fs::create_dir(&missing).expect("a directory");
        tried("z2").await.expect("it is tried");
        assert_eq!(std::fs::read(missing.join("file")).expect("it is written"), b"old");
        store.keep(missing.join("file"), || Ok(b"new".to_vec()));
        drop(store);
        tasks.close();
        tasks.wait().await;
        assert_eq!(std::fs::read(missing.join("file")).expect("it is written"), b"new");
    }
}
