//! What can go wrong with threads.

use std::path::PathBuf;
use std::time::Duration;

use exai_config::HomeError;

use crate::explain::Explain;

/// What can go wrong with threads.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// There is no such thread, or not any more.
    #[error("there is no thread {id}; it may have expired or been removed")]
    ThreadNotFound {
        /// The id as it was given, cut.
        id: String,
    },
    /// The beginning of an id fits several threads.
    #[error("{found} threads begin with {prefix}")]
    Ambiguous {
        /// The beginning.
        prefix: String,
        /// How many fit.
        found: usize,
    },
    /// There is no such call, or not any more.
    #[error("there is no call {reference}; its thread may have expired or been removed")]
    CallNotFound {
        /// The reference as it was given, cut.
        reference: String,
    },
    /// The call has ended in another way before.
    #[error("the call {reference} has ended already")]
    CallEnded {
        /// Its reference.
        reference: String,
    },
    /// The thread may pay for no more calls.
    #[error("this thread has made {made} paid calls and may make {max}")]
    TooManyCalls {
        /// How many it has made, or is making.
        made: u32,
        /// How many it may make.
        max: u32,
    },
    /// The thread has as many turns, or as much text, as it may have.
    #[error("this thread is full: a thread has at most {max_turns} turns and {} MiB", .max_bytes >> 20)]
    ThreadFull {
        /// How many turns a thread may have.
        max_turns: u32,
        /// How many bytes its turns may have together.
        max_bytes: u64,
    },
    /// One turn is too long.
    #[error("{what} of a turn is too long: {size}, and at most {max} are kept")]
    TurnTooLong {
        /// What is too long.
        what: &'static str,
        /// How long it is, in its own unit.
        size: usize,
        /// How long it may be.
        max: usize,
    },
    /// The disk is full.
    #[error("the disk is full: {} cannot be written", path.display())]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// The database is damaged, or is none of exai's.
    #[error("{} is damaged ({reason})", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Another process has held the database for too long.
    #[error("another process has kept {} locked for {} s", path.display(), waited.as_secs())]
    Locked {
        /// The database.
        path: PathBuf,
        /// How long this process has waited.
        waited: Duration,
    },
    /// A newer exai has made the database, or changed it.
    #[error("{} is from a newer exai (version {version} of its tables; this exai knows {known})", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its tables.
        version: u32,
        /// The newest version that this build knows.
        known: u32,
    },
    /// Something else is in the place of the database, or the file is not this account's.
    #[error("{} is not used: it {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// The state directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Another fault of the file or the disk.
    #[error("cannot use {}: {reason}", path.display())]
    Unusable {
        /// The database.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Explain for ThreadError {
    fn code(&self) -> &'static str {
        match self {
            ThreadError::ThreadNotFound { .. } => "thread_not_found",
            ThreadError::Ambiguous { .. } => "thread_ambiguous",
            ThreadError::CallNotFound { .. } => "call_not_found",
            ThreadError::CallEnded { .. } => "call_ended",
            ThreadError::TooManyCalls { .. } => "too_many_calls",
            ThreadError::ThreadFull { .. } => "too_many_turns",
            ThreadError::TurnTooLong { .. } => "turn_too_long",
            ThreadError::DiskFull { .. } => "disk_full",
            ThreadError::Damaged { .. } => "threads_damaged",
            ThreadError::Locked { .. } => "threads_locked",
            ThreadError::Newer { .. } => "threads_newer",
            ThreadError::Refused { .. } => "threads_refused",
            ThreadError::Home(_) | ThreadError::Unusable { .. } => "threads_unusable",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            ThreadError::ThreadNotFound { .. } => {
                "send the request again without continuation_id, with all the context that the model needs"
            }
            ThreadError::Ambiguous { .. } => "give more of the id: `exai threads --json` lists them whole",
            ThreadError::CallNotFound { .. } => "send the request itself again",
            ThreadError::CallEnded { .. } => "ask for its result with the same reference",
            ThreadError::TooManyCalls { .. } => {
                "begin a new thread: send the request without continuation_id; `max_paid_calls` in [ai] of config.toml \
                 is the limit"
            }
            ThreadError::ThreadFull { .. } => {
                "begin a new thread: send the request without continuation_id, with the context that matters"
            }
            ThreadError::TurnTooLong { .. } => "send less in one request",
            ThreadError::DiskFull { .. } => {
                "make room, or remove threads: `exai threads remove --older-than 7d`"
            }
            ThreadError::Damaged { .. } => {
                "`exai threads reset` puts the damaged file aside and begins a new one"
            }
            ThreadError::Locked { .. } => "try again in a moment",
            ThreadError::Newer { .. } => "`exai --version` says which exai this is; use the newer one",
            ThreadError::Refused { path, .. } => {
                return Some(format!("move it away: mv {0} {0}.away", path.display()));
            }
            ThreadError::Home(_) | ThreadError::Unusable { .. } => {
                "`exai doctor` looks at the state directory"
            }
        };
        Some(hint.to_owned())
    }
}
