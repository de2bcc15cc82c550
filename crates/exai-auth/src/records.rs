//! The records of all sign-ins: `sign-ins/ID.json` in the state directory, private files of the account. They are sealed
//! where the system has a keyring that keeps the key, and plain where it has none. Each file says itself which it is, and is
//! written anew as it should be with the next change.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_config::{Home, environment};
use exai_os::keyring::{KEYRING_TIMEOUT, Keyring};
use exai_os::lock::{HeldLock, lock_until};
use exai_os::private;
use zeroize::Zeroizing;

use crate::keys::{KeyVault, Keys, NoKey, Opened};
use crate::record::{Place, Record};
use crate::seal::{SealedFile, SealingKey};

/// The longest file that is read. A sealed record is a third longer than a plain one.
const MAX_RECORD_BYTES: u64 = 512 * 1024;
/// The most files that are kept of what was in the way of a record.
const MAX_ASIDE: usize = 100;
/// The most files that are looked at.
const MAX_RECORDS: usize = 10_000;
/// By this name the keyring shows whose entry it is.
const KEYRING_SERVICE: &str = "exai";

/// The records of all sign-ins. Every method reads or writes files, so it blocks.
#[derive(Debug, Clone)]
pub struct Records {
    dir: PathBuf,
    keys: Keys,
}

/// A record, and how its file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The record.
    pub record: Record,
    /// Whether its file is sealed.
    pub is_sealed: bool,
}

/// All that is in the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What can be read.
    pub kept: Vec<Kept>,
    /// Why those records that are sealed and cannot be read cannot be read.
    pub unread: Vec<NoKey>,
}

/// How records are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// Sealed, with a key that the system's keyring keeps.
    Sealed,
    /// As plain files that only this account can read.
    Plain {
        /// Why; it reads after "since ".
        why: String,
    },
}

impl Records {
    /// Those in this directory, which need not exist, with no keyring.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Records { dir: dir.into(), keys: Keys::none("no keyring is used") }
    }

    /// Those of a state directory, with the system's keyring.
    pub fn of_home(home: &Home) -> Self {
        Records::of_home_within(home, KEYRING_TIMEOUT)
    }

    /// The same with a keyring that may take so long each time.
    pub fn of_home_within(home: &Home, timeout: Duration) -> Self {
        if environment::KEYRING.get().is_some_and(|value| value == "off") {
            return Records { keys: Keys::none("EXAI_KEYRING is off"), ..Records::at(home.sign_ins_dir()) };
        }
        Records::with_vault(home.sign_ins_dir(), Arc::new(keyring(home).with_timeout(timeout)))
    }

    /// The same with this place for the key.
    pub fn with_vault(dir: impl Into<PathBuf>, vault: Arc<dyn KeyVault>) -> Self {
        Records { dir: dir.into(), keys: Keys::of_vault(vault) }
    }

    /// The same with what another process has of the key: [`Records::key`].
    pub fn with_key(dir: impl Into<PathBuf>, key: Option<SealingKey>) -> Self {
        let none = || Keys::none("the daemon has no key");
        Records { dir: dir.into(), keys: key.map_or_else(none, Keys::given) }
    }

    /// The key for a process that is to read and write records too; `None` where there can be none now.
    pub fn key(&self) -> Option<SealingKey> {
        self.keys.find_or_make(&self.dir).ok()
    }

    /// Has the keyring keep the key again, if it was reset while the key was known here.
    pub(crate) fn keep_key(&self) {
        self.keys.keep_again();
    }

    /// How records are written now.
    pub fn keeping(&self) -> Keeping {
        self.keys.find().map_or_else(|why| Keeping::Plain { why }, |_| Keeping::Sealed)
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
        Ok(self.survey()?.into_records())
    }

    /// All records, and how their files are.
    ///
    /// # Errors
    /// As [`Records::load`].
    pub fn survey(&self) -> io::Result<Survey> {
        self.survey_those(|_| true)
    }

    /// How many files are sealed. Asks no keyring.
    ///
    /// # Errors
    /// As [`Records::load`].
    pub fn count_sealed(&self) -> io::Result<usize> {
        let files = self.files(|_| true)?;
        let is_sealed = |path: &&PathBuf| {
            private::read(path, MAX_RECORD_BYTES).is_ok_and(|bytes| SealedFile::read(&bytes).is_some())
        };
        Ok(files.iter().filter(is_sealed).count())
    }

    /// The records for a server and account. There are several while the server changes its authorization server.
    ///
    /// # Errors
    /// As [`Records::load`].
    pub fn of_place(&self, place: &Place) -> io::Result<Vec<Record>> {
        Ok(self.survey_of(place)?.into_records())
    }

    fn survey_of(&self, place: &Place) -> io::Result<Survey> {
        let id = place.id();
        let mut survey = self.survey_those(|name| name.starts_with(&id))?;
        survey.kept.retain(|kept| kept.record.place == *place);
        Ok(survey)
    }

    /// The files of records whose name is wanted.
    fn files(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
        let files = match std::fs::read_dir(&self.dir) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths = Vec::new();
        for file in files.take(MAX_RECORDS) {
            let path = file?.path();
            let is_record = path.extension().is_some_and(|extension| extension == "json");
            if is_record && path.file_stem().and_then(OsStr::to_str).is_some_and(&is_wanted) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    /// Those in files whose name is wanted.
    fn survey_those(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Survey> {
        let mut survey = Survey::default();
        for path in self.files(is_wanted)? {
            match self.read_file(&path) {
                Ok(kept) => survey.kept.push(kept),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "this sign-in cannot be read");
                    survey.unread.extend(NoKey::of(&error).cloned());
                }
            }
        }
        Ok(survey)
    }

    /// The record for a server and account: the newest, where the server has changed its authorization server.
    ///
    /// # Errors
    /// As [`Records::load`], and with [`NoKey`] when tokens may be in a sealed one that cannot be read.
    pub fn find(&self, place: &Place) -> io::Result<Option<Record>> {
        let newest = |record: &Record| record.tokens.as_ref().map(|tokens| tokens.obtained_at);
        let mut survey = self.survey_of(place)?;
        let unread = survey.unread.pop();
        let found = survey.into_records().into_iter().max_by_key(newest);
        match (found, unread) {
            (Some(Record { tokens: None, .. }) | None, Some(no_key)) => Err(io::Error::other(no_key)),
            (found, _) => Ok(found),
        }
    }

    /// The record with this id; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read; with [`NoKey`] when it is sealed and there is no key for it.
    pub fn read(&self, id: &str) -> io::Result<Option<Record>> {
        match self.read_file(&self.path(id)) {
            Ok(kept) => Ok(Some(kept.record)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a record, in place of an earlier one. When this returns, the record survives a crash of the machine. A file
    /// that is in its place and is no record, or one that there is no key for, is not lost: it is called `ID.broken-1` or so
    /// from then on, and the log says so.
    ///
    /// # Errors
    /// When the file cannot be written: the earlier one stays.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        private::ensure_dir(&self.dir).map_err(io::Error::other)?;
        let id = record.id();
        let text = Zeroizing::new(serde_json::to_vec_pretty(record).map_err(io::Error::other)?);
        let path = self.path(&id);
        match self.read_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData || NoKey::of(&error).is_some() => {
                let aside = put_aside(&path)?;
                tracing::warn!(path = %path.display(), aside = %aside.display(), %error, "no sign-in; it is put aside");
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        match self.keys.find_or_make(&self.dir) {
            Ok(key) => {
                let sealed = key.seal(&id, &text)?;
                private::write_atomic(&path, &serde_json::to_vec_pretty(&sealed).map_err(io::Error::other)?)
            }
            Err(why) => {
                tracing::debug!(path = %path.display(), why, "a sign-in is kept as a plain file");
                private::write_atomic(&path, &text)
            }
        }
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

    fn read_file(&self, path: &Path) -> io::Result<Kept> {
        let bytes = Zeroizing::new(private::read(path, MAX_RECORD_BYTES)?);
        let Some(sealed) = SealedFile::read(&bytes) else {
            return Ok(Kept { record: parse(path, &bytes)?, is_sealed: false });
        };
        let id = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        match self.keys.open(id, &sealed).map_err(io::Error::other)? {
            Opened::Record(bytes) => Ok(Kept { record: parse(path, &bytes)?, is_sealed: true }),
            Opened::Changed => Err(wrong("the file is not what was sealed under this name".to_owned())),
        }
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

/// The entry of a state directory in the system's keyring.
fn keyring(home: &Home) -> Keyring {
    let path = home.path().canonicalize().unwrap_or_else(|_| home.path().to_owned());
    Keyring::new(&environment::of_this_process(), KEYRING_SERVICE, &format!("sign-ins of {}", path.display()))
}

fn parse(path: &Path, bytes: &[u8]) -> io::Result<Record> {
    // The text of the error could quote a token.
    let record: Record = serde_json::from_slice(bytes).map_err(|error| {
        wrong(format!("no record of a sign-in (line {}, column {})", error.line(), error.column()))
    })?;
    // A copy holds tokens that were spent since.
    if path.file_stem().is_none_or(|name| *name != *record.id()) {
        return Err(wrong("the name of the file is not that of the record in it".to_owned()));
    }
    Ok(record)
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Survey {
    fn into_records(self) -> Vec<Record> {
        self.kept.into_iter().map(|kept| kept.record).collect()
    }
}
