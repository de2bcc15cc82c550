//! Files and directories that somebody else has put somewhere, held before anything is decided about them.
//!
//! A path says where to look, and another program can put something else there at any time. So what is at a path is held
//! first, then asked where it really is, and then the very same thing is read. On Linux nothing is opened before that:
//! opening a FIFO waits, and opening a device may do something.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::sys;

/// A regular file or a directory, whatever happens to its path from now on.
#[derive(Debug)]
pub struct Place {
    held: sys::place::Held,
    real_path: PathBuf,
    is_directory: bool,
}

/// What is in a directory under a name. Links are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
    /// When its content was changed last.
    pub modified: SystemTime,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, wherever it leads.
    Link,
    /// A device, a FIFO, a socket.
    Other,
}

impl Place {
    /// Holds what is at a path. Links are followed: ask [`Place::real_path`] where they have led.
    ///
    /// What is neither a regular file nor a directory is an error of the kind `InvalidData`, and so is what the kernel
    /// makes up (`/proc`, `/sys`). Nothing waits for another process, but a network file system whose server is silent
    /// can hold this call for as long as it likes.
    pub fn find(path: &Path) -> io::Result<Place> {
        let (held, real_path, is_directory) = sys::place::find(path)?;
        Ok(Place { held, real_path, is_directory })
    }

    /// Where it was when it was found: an absolute path without links. On Windows without `\\?\`.
    pub fn real_path(&self) -> &Path {
        &self.real_path
    }

    /// Whether it is a directory, and no file.
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// Opens the file to read it.
    pub fn open(&self) -> io::Result<File> {
        if self.is_directory {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        sys::place::open(&self.held)
    }

    /// What is in the directory, in no order, read as it is asked for.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<Entry>> + use<>> {
        sys::place::entries(&self.held, &self.real_path)
    }
}

#[cfg(test)]
mod tests;
