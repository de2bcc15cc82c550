//! How long a text is for a model. Every model counts in its own way, and no vocabulary is at hand: this is an estimate
//! that errs on the safe side, for budgets. What a call has really cost is in the `usage` that the provider tells.

/// About how many tokens a text has: one for each 3.5 bytes.
pub fn estimate(text: &str) -> usize {
    (text.len() * 2).div_ceil(7)
}

/// About how many bytes a number of tokens has. The other direction of [`estimate`].
pub fn bytes_of(tokens: usize) -> usize {
    tokens.saturating_mul(7) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_and_its_bytes_agree() {
        for bytes in [0, 1, 7, 100, 12_345] {
            let back = bytes_of(estimate(&"x".repeat(bytes)));
            assert!((bytes..bytes + 4).contains(&back), "{bytes}: {back}");
        }
    }
}
