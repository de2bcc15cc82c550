//! Keeps the bench from hanging: it kills a process that lives too long, and a reader of this process then sees its
//! end.

use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may live. No measurement takes a tenth of this time.
const LIFE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(500);

/// A child that its owner and the watchdog may end.
pub(crate) type Shared = Arc<Mutex<Child>>;

/// The children, each with the time until which it may live.
type Watched = Arc<Mutex<Vec<(Instant, Weak<Mutex<Child>>)>>>;

/// A watchdog that works until it is dropped.
pub(crate) struct Watchdog {
    watched: Watched,
    /// Dropped with the watchdog, which ends the watchdog's thread.
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

/// Kills the process if it lives, and waits for its end.
pub(crate) fn end_child(child: &Shared) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // This only fails when the process has already ended.
    let _ = child.kill();
    let _ = child.wait();
}
