//! Files that the daemon keeps for the next one, written beside its work.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use exai_os::private;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// A revision as these files hold it.
pub(crate) fn revision_text(revision: u64) -> String {
    format!("{revision:016x}")
}

/// Makes the text of a file.
type Text = Box<dyn FnOnce() -> io::Result<Vec<u8>> + Send>;

/// Writes files, each whole. What changes while it is being written is written once more after that, as it is then.
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
                let _ = tokio::task::spawn_blocking(move || unsaved.into_iter().for_each(write)).await;
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

fn write((path, text): (PathBuf, Text)) {
    if let Err(error) = text().and_then(|text| private::replace(&path, &text)) {
        tracing::warn!(path = %path.display(), %error, "what is known cannot be kept for the next daemon");
    }
}
