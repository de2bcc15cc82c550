//! Replacing parts of a text.

use std::ops::Range;

/// One replacement in a text: these bytes become those.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What is replaced.
    pub at: Range<usize>,
    /// By what.
    pub with: Vec<u8>,
}

/// Copies `text` once, with the edits applied. They need not be sorted and must not overlap.
pub fn splice(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|edit| edit.at.start);
    let grown: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = Vec::with_capacity(text.len() + grown);
    let mut done = 0;
    for edit in edits {
        out.extend_from_slice(&text[done..edit.at.start]);
        out.extend_from_slice(&edit.with);
        done = edit.at.end;
    }
    out.extend_from_slice(&text[done..]);
    out
}
