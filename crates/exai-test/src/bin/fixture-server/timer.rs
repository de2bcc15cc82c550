//! One thread for all actions that are due later.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

type Action = Box<dyn FnOnce() + Send>;

/// A heap of due times, each with its action.
pub(crate) struct Timer {
    shared: Arc<(Mutex<Queue>, Condvar)>,
}

#[derive(Default)]
struct Queue {
    order: BinaryHeap<Reverse<(Instant, u64)>>,
    actions: std::collections::HashMap<u64, Action>,
    next: u64,
}

impl Timer {
    /// Starts the thread, which runs until the process ends.
    pub(crate) fn start() -> Self {
        let shared = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || run(&of_thread));
        Self { shared }
    }

    /// Runs `action` when `delay` has passed.
    pub(crate) fn after(&self, delay: Duration, action: impl FnOnce() + Send + 'static) {
        let (queue, changed) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let number = queue.next;
        queue.next += 1;
        queue.order.push(Reverse((Instant::now() + delay, number)));
        queue.actions.insert(number, Box::new(action));
        changed.notify_one();
    }
}

fn run((queue, changed): &(Mutex<Queue>, Condvar)) {
    let mut guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let now = Instant::now();
        match guard.order.peek() {
            Some(Reverse((due, _))) if *due <= now => {
                let Some(Reverse((_, number))) = guard.order.pop() else { continue };
                let action = guard.actions.remove(&number);
                // The action itself writes and schedules, so this thread must not hold the lock of the queue.
                drop(guard);
                if let Some(action) = action {
                    action();
                }
                guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
            }
            Some(Reverse((due, _))) => {
                let wait = *due - now;
                guard = changed.wait_timeout(guard, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
            None => guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
        }
    }
}
