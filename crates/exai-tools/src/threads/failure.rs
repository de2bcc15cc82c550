//! What SQLite says, in the words of [`ThreadError`].

use std::io;
use std::path::Path;
use std::time::Duration;

use exai_os::inspect;
use rusqlite::{Error, ErrorCode, ffi};

use super::bounds::FULL_DISK_BYTES;
use super::error::ThreadError;

/// Why a piece of work on the database failed: SQLite says so, or the work itself.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(Error),
    Known(ThreadError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl From<ThreadError> for Failure {
    fn from(error: ThreadError) -> Failure {
        Failure::Known(error)
    }
}

/// What an error of SQLite means for the database at `path`, after a wait of `waited` for other processes.
pub(super) fn explain(path: &Path, error: &Error, waited: Duration) -> ThreadError {
    let path = path.to_owned();
    // Also what is in the database and cannot be: text that is no UTF-8, or a number that is too large.
    let Error::SqliteFailure(failure, _) = error else {
        return ThreadError::Damaged { path, reason: error.to_string() };
    };
    match failure.code {
        ErrorCode::DiskFull => ThreadError::DiskFull { path },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            ThreadError::Locked { path, waited }
        }
        ErrorCode::SystemIoFailure if is_short(failure.extended_code) => {
            ThreadError::Damaged { path, reason: error.to_string() }
        }
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen if is_full(&path) => {
            ThreadError::DiskFull { path }
        }
        ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory
        | ErrorCode::TooBig => ThreadError::Unusable { path, reason: error.to_string() },
        // The statements of this program fit a sound database: one that lacks a table, or has a number twice, is damaged.
        _ => ThreadError::Damaged { path, reason: error.to_string() },
    }
}

/// The same for an error of the system.
pub(super) fn explain_io(path: &Path, error: &io::Error) -> ThreadError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull => ThreadError::DiskFull { path },
        // That is how exai-os says that a file is a link, is no file, or is another account's.
        io::ErrorKind::InvalidData => ThreadError::Refused { path, reason: error.to_string() },
        _ => ThreadError::Unusable { path, reason: error.to_string() },
    }
}

fn is_short(extended_code: i32) -> bool {
    matches!(extended_code, ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS)
}

fn is_full(path: &Path) -> bool {
    let directory = path.parent().unwrap_or(path);
    inspect::space(directory).is_ok_and(|space| space.bytes < FULL_DISK_BYTES || space.files == Some(0))
}
