//! The threads: begun, continued, listed, removed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use exai_config::Home;
use rusqlite::{Connection, params};

use super::bounds::{
    BOUNDS, Bounds, MAX_SHOWN_ID_CHARS, MAX_THREAD_BYTES, MAX_TURNS, PATIENCE, UPKEEP_INTERVAL,
};
use super::database::Database;
use super::error::ThreadError;
use super::failure::Failure;
use super::id::make_thread_id;
use super::rows;
use super::thread::{NewThread, NewTurn, Thread, ThreadFacts, cut_to, make_client_name, make_title};
use super::upkeep;

/// The threads of a state directory. One of these serves all threads of a process.
#[derive(Debug)]
pub struct ThreadStore {
    pub(super) database: Database,
    pub(super) bounds: Bounds,
    /// When what is expired was removed last.
    upkeep: Mutex<Option<Instant>>,
}

impl ThreadStore {
    /// The threads of this state directory. Opens nothing yet.
    pub fn new(home: Home) -> ThreadStore {
        ThreadStore::with_bounds(home, BOUNDS, PATIENCE)
    }

    pub(super) fn with_bounds(home: Home, bounds: Bounds, patience: Duration) -> ThreadStore {
        ThreadStore { database: Database::new(home, patience), bounds, upkeep: Mutex::new(None) }
    }

    /// Begins a thread, without a turn. Threads that were not used for as long as `keep` are removed now and then.
    pub fn create_thread(&self, new: &NewThread<'_>, keep: Duration) -> Result<ThreadFacts, ThreadError> {
        self.remove_expired_if_due(keep);
        let id = make_thread_id();
        self.database.write(|connection| {
            let now = rows::now();
            connection.execute(
                "INSERT INTO threads (id, tool, title, client, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?)",
                params![id, new.tool, make_title(new.request), new.client.map(make_client_name), now, now],
            )?;
            self.keep_bounds(connection, &id)?;
            find_facts(connection, &id)
        })
    }

    /// Goes on with a thread, which counts as used now. One that was not used for as long as `keep` is not found.
    pub fn continue_thread(&self, id: &str, keep: Duration) -> Result<Thread, ThreadError> {
        self.remove_expired_if_due(keep);
        let id = id.trim().to_ascii_lowercase();
        self.database.write(|connection| {
            let facts = find_facts(connection, &id)?;
            let now = rows::now();
            let unused = now.saturating_sub(facts.used_at.as_millisecond());
            if i128::from(unused) >= keep.as_millis().cast_signed() {
                return Err(not_found(&id).into());
            }
            rows::touch(connection, &id, now)?;
            Ok(Thread { facts, turns: rows::list_turns(connection, &id)? })
        })
    }

    /// Adds turns that no call has brought, such as the steps of an investigation.
    pub fn add_turns(&self, thread: &str, turns: &[NewTurn]) -> Result<(), ThreadError> {
        turns.iter().try_for_each(NewTurn::check)?;
        self.database.write(|connection| {
            check_room(connection, thread, turns.len())?;
            let now = rows::now();
            rows::add_turns(connection, thread, turns, now)?;
            rows::touch(connection, thread, now)?;
            self.keep_bounds(connection, thread)
        })
    }

    /// All threads, the one used last first. Creates no file.
    pub fn list_threads(&self) -> Result<Vec<ThreadFacts>, ThreadError> {
        Ok(self.database.read(rows::list_threads)?.unwrap_or_default())
    }

    /// The thread whose id begins like this, as it is. Creates no file.
    pub fn find_thread(&self, prefix: &str) -> Result<Thread, ThreadError> {
        let found = self.database.read(|connection| {
            let id = find_id(connection, prefix)?;
            Ok(Thread { facts: find_facts(connection, &id)?, turns: rows::list_turns(connection, &id)? })
        })?;
        found.ok_or_else(|| not_found(prefix))
    }

    /// Removes the threads whose ids begin like these, all or none. Returns what they were.
    pub fn remove_threads(&self, prefixes: &[String]) -> Result<Vec<ThreadFacts>, ThreadError> {
        if self.database.read(|_| Ok(()))?.is_none() {
            return prefixes.first().map_or(Ok(Vec::new()), |prefix| Err(not_found(prefix)));
        }
        self.database.write(|connection| {
            let ids =
                prefixes.iter().map(|prefix| find_id(connection, prefix)).collect::<Result<Vec<_>, _>>()?;
            let mut removed = Vec::new();
            for id in ids {
                // Two beginnings may be of one thread.
                removed.extend(rows::find_thread(connection, &id)?);
                connection.execute("DELETE FROM threads WHERE id = ?", [id])?;
            }
            upkeep::give_back(connection)?;
            Ok(removed)
        })
    }

    /// Removes the threads that were not used for so long. Returns how many. Creates no file.
    pub fn remove_unused(&self, keep: Duration) -> Result<usize, ThreadError> {
        if self.database.read(|_| Ok(()))?.is_none() {
            return Ok(0);
        }
        let mut all = 0;
        loop {
            let removed = self.database.write(|connection| {
                let removed = upkeep::remove_expired(connection, rows::now(), keep)?;
                upkeep::give_back(connection)?;
                Ok(removed)
            })?;
            all += removed;
            if removed == 0 {
                return Ok(all);
            }
        }
    }

    /// Removes what is expired, once an hour. What fails is tried again an hour later, and is no reason not to go on.
    fn remove_expired_if_due(&self, keep: Duration) {
        let mut last = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < UPKEEP_INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        match self.remove_unused(keep) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed expired threads"),
            Err(error) => tracing::warn!(%error, "cannot remove expired threads"),
        }
    }

    pub(super) fn keep_bounds(&self, connection: &Connection, in_use: &str) -> Result<(), Failure> {
        let removed = upkeep::keep_bounds(connection, &self.bounds, in_use)?;
        if removed > 0 {
            let (threads, mebibytes) = (self.bounds.threads, self.bounds.bytes >> 20);
            tracing::warn!(
                "removed {removed} threads that were unused longest: at most {threads} threads and {mebibytes} MiB are kept"
            );
        }
        Ok(())
    }
}

/// What is known of a thread; an error without one.
pub(super) fn find_facts(connection: &Connection, id: &str) -> Result<ThreadFacts, Failure> {
    rows::find_thread(connection, id)?.ok_or_else(|| not_found(id).into())
}

/// An error if a thread has no room for so many turns more.
pub(super) fn check_room(connection: &Connection, thread: &str, more: usize) -> Result<(), Failure> {
    let facts = find_facts(connection, thread)?;
    let bytes: i64 =
        connection.query_row("SELECT bytes FROM threads WHERE id = ?", [thread], |row| row.get(0))?;
    if facts.turn_count as usize + more > MAX_TURNS as usize || bytes.cast_unsigned() > MAX_THREAD_BYTES {
        return Err(ThreadError::ThreadFull { max_turns: MAX_TURNS, max_bytes: MAX_THREAD_BYTES }.into());
    }
    Ok(())
}

/// The id that begins like this; an error if there is none or more than one.
fn find_id(connection: &Connection, prefix: &str) -> Result<String, Failure> {
    let prefix = prefix.trim().to_ascii_lowercase();
    if prefix.is_empty() {
        return Err(not_found(&prefix).into());
    }
    let mut statement = connection.prepare("SELECT id FROM threads WHERE substr(id, 1, length(?1)) = ?1")?;
    let mut found: Vec<String> =
        statement.query_map([&prefix], |row| row.get(0))?.collect::<Result<_, _>>()?;
    match (found.pop(), found.len()) {
        (Some(id), 0) => Ok(id),
        (None, _) => Err(not_found(&prefix).into()),
        (Some(_), others) => Err(ThreadError::Ambiguous { prefix, found: others + 1 }.into()),
    }
}

fn not_found(id: &str) -> ThreadError {
    ThreadError::ThreadNotFound { id: cut_to(id, MAX_SHOWN_ID_CHARS) }
}
