//! What differs between clients in how an entry is read.

use crate::variables::VariableSyntax;

/// What differs between clients in how an entry is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRules {
    /// How the client refers to environment variables.
    pub variables: &'static [VariableSyntax],
    /// What the key `timeout` means.
    pub timeout: TimeoutMeaning,
    /// Whether a command without arguments is a whole command line.
    pub splits_command: bool,
}

/// What a client's key `timeout` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutMeaning {
    /// How long a call may take, in milliseconds.
    CallMilliseconds,
    /// How long a call may take, in seconds.
    CallSeconds,
    /// How long a start may take, in milliseconds.
    StartMilliseconds,
    /// The client has no such key.
    Unknown,
    /// The client is not known: the other keys of the entry may tell.
    OfEntry,
}
