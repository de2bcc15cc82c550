//! The files that a call names and that may not or cannot be read.

use serde_json::{Value, json};

use crate::explain::Explain;
use crate::files::{Omitted, Reason};
use crate::outcome::Outcome;

/// How many files the message names; all of them are in `files`.
const MAX_NAMED: usize = 3;

/// The files that a call names and that may not or cannot be read. A model that does not see them is not asked: its
/// answer would be paid for and of no use.
#[derive(Debug)]
pub(super) struct RefusedFiles(Vec<Omitted>);

impl RefusedFiles {
    /// `None` if none of them is a reason to stop: what was not found to be a text, or has no room, is only left out.
    pub(super) fn of<'a>(omitted: impl Iterator<Item = &'a Omitted>) -> Option<RefusedFiles> {
        let refused: Vec<Omitted> = omitted.filter(|omitted| stops(&omitted.reason)).cloned().collect();
        (!refused.is_empty()).then_some(RefusedFiles(refused))
    }

    pub(super) fn outcome(&self) -> Outcome {
        let files: Vec<Value> = self.0.iter().map(describe).collect();
        Outcome::failure(self).with("files", files)
    }
}

fn describe(omitted: &Omitted) -> Value {
    let Omitted { name, reason, .. } = omitted;
    json!({"path": name, "code": reason.code(), "reason": reason.to_string(), "hint": reason.hint()})
}

fn stops(reason: &Reason) -> bool {
    !matches!(
        reason,
        Reason::Hidden
            | Reason::Link
            | Reason::Ignored
            | Reason::TooDeep
            | Reason::TooMany { .. }
            | Reason::OverBudget { .. }
            | Reason::Unchanged
    )
}

impl std::fmt::Display for RefusedFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named: Vec<String> = self.0.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        write!(f, "no model was asked: {}", named.join("; "))?;
        match self.0.len().saturating_sub(MAX_NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for RefusedFiles {}

impl Explain for RefusedFiles {
    fn code(&self) -> &'static str {
        self.0.first().map_or("files_refused", |omitted| omitted.reason.code())
    }

    fn hint(&self) -> Option<String> {
        self.0.first().and_then(|omitted| omitted.reason.hint())
    }
}
