//! When to stop trying to start a daemon that does not start.

use std::collections::VecDeque;
use std::time::Instant;

use crate::connect_error::FailedStart;
use crate::limits::{BREAKER_REST, BREAKER_WEIGHT, BREAKER_WINDOW};

/// Stops starts that keep failing: thirty shims whose daemon cannot start must not start a thousand processes a
/// minute. Three failures with a reason are enough, or six deaths, since whatever kills the daemons may stop. It has
/// no clock.
#[derive(Debug, Default)]
pub(crate) struct StartCircuitBreaker {
    failures: VecDeque<(Instant, u32)>,
    tripped: bool,
}

impl StartCircuitBreaker {
    /// Notes that a start has failed. Returns until when no other start should be tried, if the failures are enough.
    pub(crate) fn failed(&mut self, how: FailedStart, now: Instant) -> Option<Instant> {
        let weight = match how {
            FailedStart::Reason => BREAKER_WEIGHT / 3,
            FailedStart::Death => BREAKER_WEIGHT / 6,
        };
        self.failures.retain(|(failure, _)| now.duration_since(*failure) < BREAKER_WINDOW);
        self.failures.push_back((now, weight));
        self.tripped |= self.failures.iter().map(|(_, weight)| weight).sum::<u32>() >= BREAKER_WEIGHT;
        self.tripped.then(|| now + BREAKER_REST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn three_reasons_in_a_minute_are_enough_and_after_that_each_single_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = StartCircuitBreaker::default();
        let mut fails = |seconds| breaker.failed(FailedStart::Reason, at(seconds));
        assert_eq!(fails(0), None);
        assert_eq!(fails(59), None);
        assert_eq!(fails(61), None, "the first is forgotten");
        assert_eq!(fails(62), Some(at(92)));
        assert_eq!(fails(500), Some(at(530)));
    }

    #[test]
    fn of_deaths_it_takes_six() {
        let now = Instant::now();
        let mut breaker = StartCircuitBreaker::default();
        let enough = (1..9).find(|_| breaker.failed(FailedStart::Death, now).is_some());
        assert_eq!(enough, Some(6));
    }
}
