//! What a source says that exai does otherwise, or not at all.

use std::fmt;

use super::error::SourceError;

/// What a source says that exai does otherwise, or not at all. None of them quotes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The command was a whole command line, and is a program with arguments now.
    SplitCommand {
        /// The server.
        server: String,
        /// The program.
        program: String,
        /// How many arguments follow it.
        arguments: usize,
    },
    /// The command looks like a whole command line that cannot be split.
    UnclearCommand {
        /// The server.
        server: String,
    },
    /// A time-out is left out, because it may be in seconds or in milliseconds.
    UnclearTimeout {
        /// The server.
        server: String,
    },
    /// A reference to a variable that exai does not know. It stays as it was written.
    Unresolved {
        /// The server.
        server: String,
        /// The reference, without a default value that may stand in it.
        reference: String,
    },
    /// A server that was left out.
    LeftOut {
        /// The server.
        server: String,
        /// Why.
        why: SourceError,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::SplitCommand { server, program, arguments } => write!(
                f,
                "the command of `{server}` was a whole command line; it is the program `{program}` with {arguments} arguments now"
            ),
            Warning::UnclearCommand { server } => {
                write!(f, "the command of `{server}` has spaces and is taken for one program")
            }
            Warning::UnclearTimeout { server } => {
                write!(f, "the time-out of `{server}` may be in seconds or in milliseconds, and is left out")
            }
            Warning::Unresolved { server, reference } => {
                write!(f, "`{server}` uses {reference}, which exai does not know")
            }
            Warning::LeftOut { server, why } => write!(f, "`{server}` is left out: {why}"),
        }
    }
}
