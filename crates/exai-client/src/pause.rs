//! Waiting a little longer each time.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// Pauses of 2 ms growing to 20 ms, jittered: thirty clients that start at once all wait for the one that
/// starts the daemon, and should neither keep it busy nor notice late that it is done.
#[derive(Debug)]
pub(crate) struct Pause {
    jitter: RandomState,
    step_us: u64,
}

impl Pause {
    const LONGEST_US: u64 = 20_000;

    pub(crate) fn new() -> Self {
        Pause { jitter: RandomState::new(), step_us: 2_000 }
    }

    /// Sleeps; `false` when the deadline has come.
    pub(crate) fn sleep(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let length = self.step_us / 2 + self.jitter.hash_one(self.step_us) % self.step_us;
        std::thread::sleep(Duration::from_micros(length).min(left));
        self.step_us = (self.step_us * 3 / 2).min(Self::LONGEST_US);
        true
    }
}
