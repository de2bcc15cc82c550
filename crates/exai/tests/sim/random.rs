//! Random choices that can be repeated with the same seed.

use std::time::Duration;

/// An [`exai_test::Random`] with the methods that the simulation needs.
pub(crate) struct Random(exai_test::Random);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(exai_test::Random::new(seed))
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.number() % limit.max(1)
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn micros(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.below(limit))
    }

    pub(crate) fn millis(&mut self, limit: u64) -> Duration {
        self.micros(limit * 1000)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}
