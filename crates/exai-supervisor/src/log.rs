//! A log file: the stderr of a server, or the messages of the daemon. It is kept to two files of ten mebibytes, or
//! twenty for the newer one while another program keeps it from being moved.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::limits::LOG_BYTES;

/// The file that is written to, with its size.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Log {
    /// Opens the file at `path` for appending, or creates it.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = exai_os::private::open_append(&path)?;
        let size = file.metadata()?.len();
        Ok(Log { path, file, size })
    }

    /// Appends whole lines. Sets the file aside first if they would make it too large.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size + bytes.len() as u64 > LOG_BYTES {
            match std::fs::rename(&self.path, self.path.with_extension("log.1")) {
                Ok(()) => self.succeed_by(Log::open(self.path.clone())?),
                // On Windows a program that has the file open may keep it from being moved.
                Err(_) if self.size < 2 * LOG_BYTES => {}
                Err(error) => return Err(error),
            }
        }
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Sets this file aside and opens a new one. The stderr of a daemon, which shows panics, moves to the new file.
    /// Nothing may be logged here, since this is the log.
    pub fn succeed_by(&mut self, next: Log) {
        // Where stderr stays with the file that was set aside, it can still be read there.
        let _ = exai_os::detach::follow(&self.file, &next.file);
        *self = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_moved_away_grows_to_twice_the_size_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.log");
        // A directory in the way keeps the log from being moved, as a reader of the file does on Windows.
        std::fs::create_dir_all(path.with_extension("log.1").join("x")).unwrap();
        let chunk = vec![b'x'; 64 * 1024];
        let mut log = Log::open(path.clone()).unwrap();
        while log.write(&chunk).is_ok() {}
        assert_eq!(path.metadata().unwrap().len(), 2 * LOG_BYTES);
        std::fs::remove_dir_all(path.with_extension("log.1")).unwrap();
        log.write(b"last").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"last");
    }

    #[test]
    fn two_files_are_all_there_ever_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.log");
        let chunk = vec![b'x'; 64 * 1024];
        let mut log = Log::open(path.clone()).unwrap();
        for _ in 0..3 * LOG_BYTES / chunk.len() as u64 {
            log.write(&chunk).unwrap();
        }
        // The existing bytes count after a restart too.
        drop(log);
        Log::open(path.clone()).unwrap().write(b"last").unwrap();
        let size = |path: &std::path::Path| path.metadata().unwrap().len();
        assert_eq!(size(&path.with_extension("log.1")), LOG_BYTES);
        assert_eq!(std::fs::read(&path).unwrap(), b"last");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
