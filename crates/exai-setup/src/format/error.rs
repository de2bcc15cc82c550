//! Why a text cannot be read or edited.

use crate::fault::{Fault, position};

/// Where a text breaks the rules of its format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong. It holds nothing of the file's values.
    pub message: String,
}

impl ParseError {
    /// The error with the line and column of its place in `text`.
    pub(crate) fn locate(fault: Fault, text: &str) -> Self {
        let (line, column) = position(text, fault.at);
        ParseError { line, column, message: fault.what }
    }
}

/// Why a text cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text breaks the rules of its format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The text has something else where the servers should be.
    #[error("{key} is not a {expected} (line {line}, column {column})")]
    NotAContainer {
        /// The last key on the way to the servers; "the file" for its outermost value.
        key: String,
        /// What it should be: "map" or "list".
        expected: &'static str,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// The text has a key twice, so that nobody can say which one counts.
    #[error("the file has {key} twice, the second time in line {line}, column {column}")]
    Twice {
        /// The key.
        key: String,
        /// The line of the second one, from 1.
        line: usize,
        /// Its column in characters, from 1.
        column: usize,
    },
    /// There is no such entry.
    #[error("the file has no {name}")]
    NotFound {
        /// What was to be removed.
        name: String,
    },
    /// This format, or this way to write it, is not edited.
    #[error("{what}: edit the file by hand")]
    Unsupported {
        /// What stands in the way.
        what: &'static str,
    },
    /// The edit would have changed something else. Nothing was changed.
    #[error("the edit would change more than {name}: edit the file by hand")]
    ChangesMore {
        /// The entry that was to be changed.
        name: String,
    },
}
