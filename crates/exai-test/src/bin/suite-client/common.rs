//! What all parts know.

/// What becomes of a play, or of a part of it: an error says what was wrong.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The generation of the protocol that the daemon and its client speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2025-11-25 and older.
    Legacy,
    /// 2026-07-28.
    Modern,
}
