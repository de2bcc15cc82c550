//! How a check went, and how its figures are told to people.

use exai_proto::documents::{Check, CheckStatus};
use exai_proto::limits;

use crate::limits::{MAX_LISTED, MAX_LISTED_CHARS};

/// How a check went; its name is in `CHECKS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckOutcome {
    pub(super) status: CheckStatus,
    pub(super) detail: String,
    pub(super) fix: Option<String>,
}

impl CheckOutcome {
    pub(super) fn pass(detail: impl Into<String>) -> Self {
        CheckOutcome { status: CheckStatus::Pass, detail: detail.into(), fix: None }
    }

    pub(super) fn warn(detail: impl Into<String>) -> Self {
        CheckOutcome { status: CheckStatus::Warn, ..CheckOutcome::pass(detail) }
    }

    pub(super) fn fail(detail: impl Into<String>) -> Self {
        CheckOutcome { status: CheckStatus::Fail, ..CheckOutcome::pass(detail) }
    }

    pub(super) fn skip(detail: impl Into<String>) -> Self {
        CheckOutcome { status: CheckStatus::Skip, ..CheckOutcome::pass(detail) }
    }

    /// The command or the change that puts it right.
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(super) fn named(self, id: &str) -> Check {
        Check { id: id.to_owned(), status: self.status, detail: self.detail, fix: self.fix }
    }
}

/// `12 MiB`, `3.4 GiB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1024)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => {
            let tenths = (bytes >> 20) * 10 / 1024;
            format!("{}.{} GiB", tenths / 10, tenths % 10)
        }
    }
}

/// The first few of many, as one text.
pub(super) fn listed(parts: &[String]) -> String {
    // A name in a file may be of any length.
    let shown = parts.iter().take(MAX_LISTED).map(|part| limits::cut(part, MAX_LISTED_CHARS));
    let shown = shown.collect::<Vec<_>>().join("; ");
    match parts.len().saturating_sub(MAX_LISTED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([1, 3 << 20, 3 << 29].map(size), ["1 KiB", "3 MiB", "1.5 GiB"]);
    }
}
