//! How a case of the self-test went.

/// What a case saw, with the figures; or what went wrong.
pub(super) type CaseOutcome = Result<String, String>;
