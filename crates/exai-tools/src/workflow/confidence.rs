//! How sure an agent is.

use serde::Deserialize;

/// How sure the agent is of its hypothesis, from nothing to everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// It has just begun.
    Exploring,
    /// A first idea. What an agent that does not say it is taken for.
    #[default]
    Low,
    /// Some evidence.
    Medium,
    /// Strong evidence.
    High,
    /// Very strong evidence.
    VeryHigh,
    /// Nearly proven.
    AlmostCertain,
    /// Proven: no expert is needed.
    Certain,
}

impl Confidence {
    /// As the field `confidence` has it.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Exploring => "exploring",
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
            Confidence::VeryHigh => "very_high",
            Confidence::AlmostCertain => "almost_certain",
            Confidence::Certain => "certain",
        }
    }

    /// The value with this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [
            Confidence::Exploring,
            Confidence::Low,
            Confidence::Medium,
            Confidence::High,
            Confidence::VeryHigh,
            Confidence::AlmostCertain,
            Confidence::Certain,
        ]
        .into_iter()
        .find(|confidence| confidence.name() == name)
    }
}
