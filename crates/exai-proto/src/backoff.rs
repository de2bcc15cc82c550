//! Delays that grow from try to try.

use std::time::Duration;

/// A delay that grows by the same factor with each step, up to a bound. It has no clock and no randomness: the caller
/// waits, and adds jitter where many may wait at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
    max: Duration,
    numerator: u32,
    denominator: u32,
}

impl Backoff {
    /// Delays that begin with `first` and double up to `max`.
    pub const fn doubling(first: Duration, max: Duration) -> Self {
        Backoff::growing(first, max, 2, 1)
    }

    /// Delays that begin with `first` and grow by `numerator / denominator` up to `max`.
    pub const fn growing(first: Duration, max: Duration, numerator: u32, denominator: u32) -> Self {
        Backoff { next: first, max, numerator, denominator }
    }

    /// The delay before the next try. The one after it is longer.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next.min(self.max);
        self.next = (delay * self.numerator / self.denominator).min(self.max);
        delay
    }

    /// Makes the next delay at least this long.
    pub fn raise_to(&mut self, least: Duration) {
        self.next = self.next.max(least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis<const N: usize>(backoff: &mut Backoff) -> [u128; N] {
        std::array::from_fn(|_| backoff.next_delay().as_millis())
    }

    #[test]
    fn delays_grow_up_to_their_bound() {
        let ms = Duration::from_millis;
        assert_eq!(millis(&mut Backoff::doubling(ms(50), ms(300))), [50, 100, 200, 300, 300]);
        assert_eq!(millis(&mut Backoff::growing(ms(2), ms(5), 3, 2)), [2, 3, 4, 5]);
    }

    #[test]
    fn a_raised_delay_goes_on_growing_from_there() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::doubling(ms(100), ms(900));
        backoff.raise_to(ms(500));
        assert_eq!(millis(&mut backoff), [500, 900]);
        backoff.raise_to(ms(1));
        assert_eq!(millis(&mut backoff), [900]);
    }
}
