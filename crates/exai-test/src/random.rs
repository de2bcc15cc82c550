//! Pseudo-random numbers, and the scale of repetitions.

/// A generator that gives the same numbers for the same seed (SplitMix64), so that a failed test can be run again.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts the generator from this seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    ///
    /// # Panics
    /// When `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    /// One of the items of `of`.
    ///
    /// # Panics
    /// When `of` is empty.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// How often a test repeats its work: `count`, multiplied by `EXAI_TEST_SCALE` if that is set.
///
/// # Panics
/// When `EXAI_TEST_SCALE` is not a number.
pub fn scaled(count: usize) -> usize {
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
    let given = std::env::var("EXAI_TEST_SCALE").ok();
    let times = given.map_or(1, |text| text.parse().expect("EXAI_TEST_SCALE is a whole number"));
    count * times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_numbers() {
        let take = |seed| {
            let mut random = Random::new(seed);
            std::iter::repeat_with(|| random.below(6)).take(100).collect::<Vec<_>>()
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        assert!((0..6).all(|number| take(3).contains(&number)));
    }
}
