//! The entry of an account in the account database.

use std::path::PathBuf;

/// One account of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its user id; 0 on Windows.
    pub uid: u32,
    /// Its name at login.
    pub name: String,
    /// Its home directory: from the account's entry (Unix) or its profile (Windows), never from the
    /// environment.
    pub home: PathBuf,
    /// Its login shell; `/bin/sh` where the entry names none, the command interpreter on Windows.
    pub shell: PathBuf,
}

/// Why the account is not known.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// As in a container run with an arbitrary uid.
    #[error("uid {uid} has no account entry; set EXAI_HOME to a directory for exai's state")]
    NoEntry {
        /// The effective uid.
        uid: u32,
    },
    /// The account database could not be asked.
    #[error("cannot look up the account: {0}")]
    Io(#[from] std::io::Error),
}
