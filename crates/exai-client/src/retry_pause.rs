//! Waiting a little longer each time.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use exai_proto::backoff::Backoff;

use crate::limits::{MAX_PAUSE, MIN_PAUSE};

/// Pauses that grow from 2 ms to 20 ms, with jitter. Thirty clients that start at once all wait for the one that
/// starts the daemon. They should neither keep it busy nor notice late that it is done.
#[derive(Debug)]
pub(crate) struct RetryPause {
    jitter: RandomState,
    backoff: Backoff,
}

impl RetryPause {
    pub(crate) fn new() -> Self {
        RetryPause { jitter: RandomState::new(), backoff: Backoff::growing(MIN_PAUSE, MAX_PAUSE, 3, 2) }
    }

    /// Sleeps for one pause. Returns `false` without sleeping when the deadline has come.
    pub(crate) fn sleep(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let step_us = self.backoff.next_delay().as_micros() as u64;
        let length = step_us / 2 + self.jitter.hash_one(step_us) % step_us;
        std::thread::sleep(Duration::from_micros(length).min(left));
        true
    }
}

/// A length plus or minus up to a quarter of it, so that shims that lost the same daemon do not all come back at
/// once.
pub(crate) fn jittered(length: Duration) -> Duration {
    // `RandomState` has new random keys with each call.
    let random = RandomState::new().hash_one(length) % 1001;
    length * 3 / 4 + length / 2 * random as u32 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jittered_length_is_off_by_a_quarter_at_most_and_not_always_the_same() {
        let (least, most) = (Duration::from_millis(750), Duration::from_millis(1250));
        let all: Vec<Duration> = (0..100).map(|_| jittered(Duration::from_secs(1))).collect();
        assert!(all.iter().all(|length| (least..=most).contains(length)), "{all:?}");
        assert!(all.iter().any(|length| *length != all[0]));
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
