//! The file `exai.db`: opened at first use, and again whenever it is another file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_os::inspect::{self, EntryKind};
use exai_os::lock::{HeldLock, lock_until};
use exai_os::private;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::bounds::MAX_LOG_BYTES;
use super::error::ThreadError;
use super::failure::{Failure, explain, explain_io};
use super::schema::{self, MIGRATIONS};

/// What SQLite keeps beside the database, by the end of its name.
pub(super) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The database of a state directory.
#[derive(Debug)]
pub(super) struct Database {
    home: Home,
    path: PathBuf,
    patience: Duration,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// Which file it is: `exai threads reset` of another process puts it aside, and a person may remove it.
    file: Option<String>,
}

impl Database {
    pub(super) fn new(home: Home, patience: Duration) -> Database {
        Database { path: home.database(), home, patience, open: Mutex::new(None) }
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Reads in one transaction. `None` without a file.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<Option<T>, ThreadError> {
        if matches!(inspect::entry(&self.path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        self.run(TransactionBehavior::Deferred, work).map(Some)
    }

    /// Reads and writes in one transaction, which another process does not see before it is whole. Creates the file where
    /// there is none.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, ThreadError> {
        self.run(TransactionBehavior::Immediate, work)
    }

    fn run<T>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, ThreadError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| open.file != private::file_id(&self.path)) {
            *open = None;
        }
        match self.transact(&mut open, behavior, work) {
            Ok(value) => Ok(value),
            Err(Failure::Known(error)) => Err(error),
            Err(Failure::Sqlite(error)) => {
                let error = explain(&self.path, &error, self.patience);
                // On a full disk what is open can still be read, and what is closed cannot be opened.
                if !matches!(error, ThreadError::DiskFull { .. } | ThreadError::Locked { .. }) {
                    *open = None;
                }
                Err(error)
            }
        }
    }

    fn transact<T>(
        &self,
        open: &mut Option<Open>,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let open = match open {
            Some(open) => open,
            None => open.insert(self.connect()?),
        };
        let transaction = open.connection.transaction_with_behavior(behavior)?;
        // A newer exai may have changed the tables meanwhile.
        schema::find_version(&transaction, &self.path, MIGRATIONS)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Keeps the file from being opened or put aside by others, until the lock is dropped.
    pub(super) fn lock(&self) -> Result<HeldLock, ThreadError> {
        self.home.ensure()?;
        let path = self.home.database_lock();
        match lock_until(&path, Instant::now() + self.patience) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(ThreadError::Locked { path, waited: self.patience }),
            Err(error) => Err(explain_io(&path, &error)),
        }
    }

    /// Lets go of the file. The next use opens it again.
    pub(super) fn close(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn connect(&self) -> Result<Open, Failure> {
        let _lock = self.lock()?;
        for companion in COMPANIONS {
            check_file(&beside(&self.path, companion))?;
        }
        if !check_file(&self.path)? {
            // SQLite would make it readable for others. Its companions get the mode of the file.
            private::create_new(&self.path, false).map_err(|error| explain_io(&self.path, &error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.patience)?;
        if schema::find_version(&connection, &self.path, MIGRATIONS)? == 0 {
            // This counts only before there are tables, and it writes.
            connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        }
        self.set_up(&connection)?;
        schema::migrate(&mut connection, &self.path, MIGRATIONS)?;
        Ok(Open { connection, file: private::file_id(&self.path) })
    }

    fn set_up(&self, connection: &Connection) -> Result<(), Failure> {
        // FULL: what was paid for outlives a loss of power. Removed text is overwritten: it may be private.
        connection.execute_batch(&format!(
            "PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA cell_size_check = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA temp_store = MEMORY;
             PRAGMA journal_size_limit = {MAX_LOG_BYTES};"
        ))?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            let reason = format!("the file system does not let processes share it (journal mode {mode})");
            return Err(ThreadError::Unusable { path: self.path.clone(), reason }.into());
        }
        Ok(())
    }
}

/// The path of a companion of the database.
pub(super) fn beside(path: &Path, companion: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(companion);
    name.into()
}

/// Whether there is a file, which must be a regular one of this account. The file is not opened: to close it would free the
/// locks that SQLite holds on it in this process (fcntl(2)).
fn check_file(path: &Path) -> Result<bool, ThreadError> {
    let refused = |reason| ThreadError::Refused { path: path.to_owned(), reason };
    match inspect::entry(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(explain_io(path, &error)),
        Ok(found) if found.kind != EntryKind::File => Err(refused(format!("is {}", found.kind.in_words()))),
        Ok(found) => match found.foreign_owner {
            Some(owner) => Err(refused(format!("belongs to {owner}"))),
            None => Ok(true),
        },
    }
}
