//! How deep a document may be nested, whatever its format.

/// The deepest file that is known needs 8 levels.
pub(super) const MAX_DEPTH: usize = 64;

/// What is wrong with a document that is nested deeper.
pub(super) const TOO_DEEP: &str = "the values are nested too deeply";
