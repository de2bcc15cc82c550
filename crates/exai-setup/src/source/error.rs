//! Why a text or a file is no description of a server.

use std::fmt;

use crate::fault::{Fault, position};

/// A place in a text, as editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text or a file is no description of a server: one sentence, which names keys and never quotes values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    what: String,
    position: Option<Position>,
}

impl SourceError {
    /// An error that has no place in a text.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        SourceError { what: what.into(), position: None }
    }

    /// What is wrong, without the place.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Where it is wrong, if that is a place in a text.
    pub fn position(&self) -> Option<Position> {
        self.position
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{position}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for SourceError {}

impl Fault {
    /// The error with the line and column of its place in `text`.
    pub(crate) fn locate(self, text: &str) -> SourceError {
        let (line, column) = position(text, self.at);
        SourceError { what: self.what, position: Some(Position { line, column }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "one\nzwö: x";
        for (at, line, column) in
            [(0, 1, 1), (3, 1, 4), (4, 2, 1), (6, 2, 3), (7, 2, 3), (8, 2, 4), (99, 2, 7)]
        {
            let error = Fault::new(at, "bad").locate(text);
            assert_eq!(error.position(), Some(Position { line, column }), "{at}");
        }
        assert_eq!(Fault::new(8, "bad").locate(text).to_string(), "line 2, column 4: bad");
        assert_eq!(SourceError::new("bad").to_string(), "bad");
    }
}
