//! Nothing measured may hang: a process that lives too long is killed, and whoever reads from it sees its
//! end.

use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may live. No measurement takes a tenth of it.
const LIFE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(500);

/// A child and its owner's right to end it.
pub(crate) type Shared = Arc<Mutex<Child>>;

/// Who must have ended when.
type Watched = Arc<Mutex<Vec<(Instant, Weak<Mutex<Child>>)>>>;

/// Watches until it is dropped.
pub(crate) struct Watchdog {
    watched: Watched,
    /// Closed with the watchdog, which ends its thread.
    _alive: Sender<()>,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let watched: Watched = Arc::default();
        let (alive, ended) = channel();
        let seen = Arc::clone(&watched);
        thread::spawn(move || {
            while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let mut list = seen.lock().unwrap_or_else(PoisonError::into_inner);
                list.retain(|(end, child)| match child.upgrade() {
                    Some(child) if *end < Instant::now() => {
                        end_child(&child);
                        false
                    }
                    Some(_) => true,
                    None => false,
                });
            }
        });
        Watchdog { watched, _alive: alive }
    }

    pub(crate) fn watch(&self, child: Child) -> Shared {
        let child = Arc::new(Mutex::new(child));
        let entry = (Instant::now() + LIFE, Arc::downgrade(&child));
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        child
    }
}

/// Kills it if it lives, and waits for its end.
pub(crate) fn end_child(child: &Shared) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // Only fails when it has ended.
    let _ = child.kill();
    let _ = child.wait();
}
