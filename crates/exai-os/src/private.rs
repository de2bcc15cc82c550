//! Files and directories that belong to this account alone.
//!
//! Nothing here follows a link to a file, blocks on a FIFO or reads without a bound: the state directory is the
//! product's authority, and a program that can make it read something else can make it lie.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::sys;

/// What [`ensure_dir`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirChecked {
    /// It did not exist; it does now, for its owner alone.
    Created,
    /// It was there, ours and private.
    AsItShouldBe,
    /// It was ours, but others could enter it. They no longer can.
    Tightened {
        /// The permission bits it had (Unix).
        was: Option<u32>,
    },
}

/// Why a directory cannot hold our state.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Another account owns it and could replace what is in it.
    #[error("{} belongs to {owner}, not to this account", path.display())]
    Foreign {
        /// The directory as it was asked for.
        path: PathBuf,
        /// Its owner, in words.
        owner: String,
    },
    /// Something other than a directory is in the way.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path as it was asked for.
        path: PathBuf,
    },
    /// All accounts need it (the root of the file system, or a directory like `/tmp`): making it private would break
    /// the machine.
    #[error("{} is a directory for everybody; name one for exai alone", path.display())]
    Shared {
        /// The directory as it was asked for.
        path: PathBuf,
    },
    /// Locks on network file systems are not reliable, and the whole lifecycle rests on a lock.
    #[error("{} is on a network file system ({kind}); a local directory is needed", path.display())]
    NetworkFilesystem {
        /// The directory as it was asked for.
        path: PathBuf,
        /// The kind of file system: `nfs`, `smb`, `9p` …
        kind: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `open`, `tighten` …
        action: &'static str,
        /// The directory as it was asked for.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Makes sure that `path` is a directory of ours which no other account may enter, creating it (and missing parents)
/// with mode 0700 where needed. A symbolic link is followed only to a directory that is ours.
pub fn ensure_dir(path: &Path) -> Result<DirChecked, DirError> {
    sys::private::ensure_dir(path)
}

/// The canonical path of a directory, and its identity apart from any path (device and inode; `None` on Windows). For
/// a directory that is gone it is the given path. Both are text to be compared with that of another process.
pub fn directory_identity(path: &Path) -> (String, Option<String>) {
    let canonical = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    let canonical = canonical.unwrap_or_else(|_| path.to_owned());
    (canonical.to_string_lossy().into_owned(), sys::private::file_id(path))
}

/// The identity of a file apart from its path and content (device and inode), for as long as the file is open somewhere.
/// `None` if there is none, and on Windows, where a file that is in use keeps its name.
pub fn file_id(path: &Path) -> Option<String> {
    sys::private::file_id(path)
}

/// Reads a regular file of ours of at most `max` bytes.
///
/// A link, a FIFO, a directory, a file of another user or a longer file is an error (kind
/// `InvalidData`, or `PermissionDenied` for another owner), never a hang; a missing file is `NotFound`.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    bounded(sys::private::open_to_read(path)?, max)
}

fn bounded(file: File, max: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, format!("longer than {max} bytes"));
    if length > max {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // One byte more than allowed, to see a file that grows while it is read.
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(too_long()) } else { Ok(bytes) }
}

/// Reads a file of at most `max` bytes that decides what is executed: a regular file of this account or of root that
/// no other account can write. It may be reached by symbolic links of these two accounts, if no other account can
/// replace anything on the way.
///
/// A file that others may write is an error, unless it is in a directory that no other account can enter.
pub fn read_trusted(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    bounded(sys::private::open_trusted(path)?, max)
}

/// The path to write the file of [`read_trusted`] to: the target of its links, after the same checks.
pub fn trusted_place(path: &Path) -> io::Result<PathBuf> {
    sys::private::trusted_place(path)
}

/// Makes a file of ours unwritable for other accounts. Returns the permission bits that it had, if others could write
/// it. Does nothing to a link.
pub fn tighten(path: &Path) -> io::Result<Option<u32>> {
    sys::private::tighten(path)
}

/// The permission bits of a file that other accounts may write and can reach through its directory: they may have
/// written its content. `None` for any other file.
pub fn exposed(directory: &Path, file: &Path) -> Option<u32> {
    sys::private::exposed(directory, file)
}

/// Which file is at a path, and its permissions, as far as metadata tell. A different stamp means that the file may
/// be worth reading again. For a link it covers the target, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Option<sys::private::Facts>);

impl Stamp {
    /// The present stamp.
    pub fn of(path: &Path) -> Self {
        Stamp(sys::private::facts(path))
    }

    /// Whether there is anything at the path.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

/// Replaces `path` by a file with these bytes, so that a reader sees the old content or the new and a
/// crash leaves one of them: a temporary file of mode 0600 beside it, written, synced and renamed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    sys::private::write_atomic(path, bytes, true)
}

/// The same without waiting for the disk, for content that means nothing after the machine has stopped, such as its
/// running processes. After a crash of the machine the file may be empty.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    sys::private::write_atomic(path, bytes, false)
}

/// Opens a file of ours for appending, creating it with mode 0600. The error names the file, since its reader may
/// know only the program that writes to it.
pub fn open_append(path: &Path) -> io::Result<File> {
    sys::private::open_append(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Creates a file for this account alone, to write it: one that is there, or a link, is an error. Where the system marks
/// programs, the file is marked as one or not.
pub fn create_new(path: &Path, executable: bool) -> io::Result<File> {
    sys::private::create_new(path, executable)
}

/// Removes a file; one that is already gone is fine. A link is removed itself, not what it points to.
pub fn remove(path: &Path) -> io::Result<()> {
    match sys::private::remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
