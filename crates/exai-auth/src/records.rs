//! The records of all sign-ins: `sign-ins/ID.json` in the state directory, private files of the account.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use exai_os::lock::{HeldLock, lock_until};
use exai_os::private;

use crate::record::{Place, Record};

/// The longest file that is read.
const MAX_RECORD_BYTES: u64 = 256 * 1024;
/// The most files that are kept of what was in the way of a record.
const MAX_ASIDE: usize = 100;
/// The most files that are looked at.
const MAX_RECORDS: usize = 10_000;

/// The records of all sign-ins. Every method reads or writes files, so it blocks.
#[derive(Debug, Clone)]
pub struct Records {
    dir: PathBuf,
}

impl Records {
    /// Those in this directory, which need not exist.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Records { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All records. One that cannot be read is named in the log, stays where it is, and is no record.
    ///
    /// # Errors
    /// When the directory cannot be read. One that does not exist holds no records.
    pub fn load(&self) -> io::Result<Vec<Record>> {
        self.load_those(|_| true)
    }

    /// The records for a server and account. There are several while the server changes its authorization server.
    ///
    /// # Errors
    /// As [`Records::load`].
    pub fn of_place(&self, place: &Place) -> io::Result<Vec<Record>> {
        let id = place.id();
        let mut records = self.load_those(|name| name.starts_with(&id))?;
        records.retain(|record| record.place == *place);
        Ok(records)
    }

    /// Those in files whose name is wanted.
    fn load_those(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Record>> {
        let files = match std::fs::read_dir(&self.dir) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut records = Vec::new();
        for file in files.take(MAX_RECORDS) {
            let path = file?.path();
            let is_record = path.extension().is_some_and(|extension| extension == "json");
            if !is_record || !path.file_stem().and_then(OsStr::to_str).is_some_and(&is_wanted) {
                continue;
            }
            match read(&path) {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!(path = %path.display(), %error, "this sign-in cannot be read"),
            }
        }
        Ok(records)
    }

    /// The record for a server and account: the newest, where the server has changed its authorization server.
    ///
    /// # Errors
    /// As [`Records::load`].
    pub fn find(&self, place: &Place) -> io::Result<Option<Record>> {
        let newest = |record: &Record| record.tokens.as_ref().map(|tokens| tokens.obtained_at);
        Ok(self.of_place(place)?.into_iter().max_by_key(newest))
    }

    /// The record with this id; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, id: &str) -> io::Result<Option<Record>> {
        match read(&self.path(id)) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a record, in place of an earlier one. When this returns, the record survives a crash of the machine. A file
    /// that is in its place and is no record is not lost: it is called `ID.broken-1` or so from then on, and the log says so.
    ///
    /// # Errors
    /// When the file cannot be written: the earlier one stays.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        private::ensure_dir(&self.dir).map_err(io::Error::other)?;
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        let path = self.path(&record.id());
        match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let aside = put_aside(&path)?;
                tracing::warn!(path = %path.display(), aside = %aside.display(), %error, "no sign-in; it is put aside");
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        private::write_atomic(&path, &text)
    }

    /// Removes a record.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&self, id: &str) -> io::Result<()> {
        private::remove(&self.path(id))
    }

    /// Takes the right to change the record with this id; `None` when another process has it until `deadline`.
    ///
    /// # Errors
    /// When the lock cannot be asked for.
    pub fn lock(&self, id: &str, deadline: Instant) -> io::Result<Option<HeldLock>> {
        private::ensure_dir(&self.dir).map_err(io::Error::other)?;
        lock_until(&self.dir.join(format!("{id}.lock")), deadline)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

/// Gives what is at a path another name, which nothing has.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let names = (1..=MAX_ASIDE).map(|number| path.with_extension(format!("broken-{number}")));
    let free = |name: &PathBuf| name.symlink_metadata().is_err();
    let aside = names.into_iter().find(free).ok_or_else(|| io::Error::other("too many broken sign-ins"))?;
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

fn read(path: &Path) -> io::Result<Record> {
    let bytes = private::read(path, MAX_RECORD_BYTES)?;
    // The text of the error could quote a token.
    let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| {
        wrong(format!("no record of a sign-in (line {}, column {})", error.line(), error.column()))
    })?;
    // A copy holds tokens that were spent since.
    if path.file_stem().is_none_or(|name| *name != *record.id()) {
        return Err(wrong("the name of the file is not that of the record in it".to_owned()));
    }
    Ok(record)
}
