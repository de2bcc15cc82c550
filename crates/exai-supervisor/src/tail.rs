//! The last lines of a server's stderr, for error messages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::{TAIL_LINE_BYTES, TAIL_LINES};

/// The last lines, shared by the reader of stderr and the reporter of a failure.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Tail {
    /// Adds a line, cut to a few hundred bytes, control characters (terminal escapes) removed.
    pub fn push(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(&line[..line.len().min(TAIL_LINE_BYTES)]);
        let text: String = text.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    }

    /// The lines, joined by line feeds.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
