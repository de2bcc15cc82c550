//! What is wrong with a text, and where.

/// An error while the place is still a byte offset.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What is wrong.
    pub(crate) what: String,
    /// The offset in bytes.
    pub(crate) at: usize,
}

impl Fault {
    pub(crate) fn new(at: usize, what: impl Into<String>) -> Self {
        Fault { what: what.into(), at }
    }
}

/// The line and the column in characters, both from 1, of an offset in bytes.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
