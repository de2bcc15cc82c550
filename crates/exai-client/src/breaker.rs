//! When to stop trying to start what does not start.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many failures …
const FAILURES: usize = 3;
/// … within this time are enough.
const WITHIN: Duration = Duration::from_mins(1);
/// For how long no start is tried then. Each one after that is a single try.
const REST: Duration = Duration::from_secs(30);

/// Thirty shims whose daemon cannot start must not start a thousand processes a minute. It has no clock.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: VecDeque<Instant>,
    tripped: bool,
}

impl Breaker {
    /// A start has failed. Until when no other should be tried, if there were enough.
    pub(crate) fn failed(&mut self, now: Instant) -> Option<Instant> {
        self.failures.retain(|failure| now.duration_since(*failure) < WITHIN);
        self.failures.push_back(now);
        self.tripped |= self.failures.len() >= FAILURES;
        self.failures.truncate(FAILURES);
        self.tripped.then(|| now + REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_minute_are_enough_and_after_that_each_single_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        assert_eq!(breaker.failed(at(0)), None);
        assert_eq!(breaker.failed(at(59)), None);
        assert_eq!(breaker.failed(at(61)), None, "the first is forgotten");
        assert_eq!(breaker.failed(at(62)), Some(at(92)));
        assert_eq!(breaker.failed(at(500)), Some(at(530)));
    }
}
