//! Many samples, summed up in a few numbers.

/// The samples of one side, one list for each round.
pub(crate) type Rounds = Vec<Vec<f64>>;

/// A quantile of the samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// The quantile over all samples.
    pub(crate) value: f64,
    /// The quantile of the round in which it was lowest.
    pub(crate) least: f64,
    /// The quantile of the round in which it was highest.
    pub(crate) most: f64,
    pub(crate) samples: usize,
}

impl Summary {
    /// Sums up the samples; `None` if there are none.
    pub(crate) fn of(rounds: &Rounds, percent: usize) -> Option<Self> {
        let mut all: Vec<f64> = rounds.iter().flatten().copied().collect();
        let value = percentile(&mut all, percent)?;
        let mut each: Vec<f64> =
            rounds.iter().filter_map(|round| percentile(&mut round.clone(), percent)).collect();
        each.sort_unstable_by(f64::total_cmp);
        Some(Summary { value, least: *each.first()?, most: *each.last()?, samples: all.len() })
    }
}

/// The smallest sample that is not below `percent` percent of the samples. The median of an even number of samples is
/// the mean of the middle two.
fn percentile(samples: &mut [f64], percent: usize) -> Option<f64> {
    samples.sort_unstable_by(f64::total_cmp);
    let place = samples.len() * percent;
    let upper = *samples.get((place / 100).min(samples.len().checked_sub(1)?))?;
    if percent == 50 && samples.len().is_multiple_of(2) {
        return Some(f64::midpoint(samples[samples.len() / 2 - 1], upper));
    }
    Some(upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_sorted_samples() {
        let hundred = || (1..=100_u32).rev().map(f64::from).collect::<Vec<_>>();
        let cases = [
            (vec![], 50, None),
            (vec![7.0], 50, Some(7.0)),
            (vec![7.0], 95, Some(7.0)),
            (vec![3.0, 1.0, 2.0], 50, Some(2.0)),
            (vec![4.0, 1.0, 2.0, 3.0], 50, Some(2.5)),
            (hundred(), 95, Some(96.0)),
            (hundred(), 100, Some(100.0)),
        ];
        for (mut samples, percent, expected) in cases {
            assert_eq!(percentile(&mut samples, percent), expected, "{samples:?} {percent}");
        }
    }

    #[test]
    fn a_summary_is_over_all_rounds() {
        let rounds = vec![vec![1.0, 2.0, 3.0], vec![], vec![10.0, 20.0]];
        let expected = Summary { value: 3.0, least: 2.0, most: 15.0, samples: 5 };
        assert_eq!(Summary::of(&rounds, 50), Some(expected));
        assert_eq!(Summary::of(&vec![vec![]], 50), None);
    }
}
