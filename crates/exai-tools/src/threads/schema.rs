//! The tables of `exai.db`, and how an older file gets those of today.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::ThreadError;
use super::failure::Failure;

/// `application_id` of our databases: "exai" in ASCII. file(1) and the `sqlite3` shell show it.
const APPLICATION_ID: u32 = 0x6578_6169;

/// What each version of the tables adds to the one before. `user_version` of a file says how many it has seen. A line is
/// never changed once a release has it.
pub(super) const MIGRATIONS: &[&str] = &[VERSION_1];

const VERSION_1: &str = "
CREATE TABLE threads (
    id TEXT PRIMARY KEY,
    tool TEXT NOT NULL,                -- that began it
    title TEXT NOT NULL,
    client TEXT,                       -- that began it
    created_at INTEGER NOT NULL,       -- all times are milliseconds since 1970
    used_at INTEGER NOT NULL,
    paid_calls INTEGER NOT NULL DEFAULT 0,
    turns INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0   -- of its turns
) STRICT;
CREATE INDEX threads_used_at ON threads (used_at);

CREATE TABLE turns (
    thread TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,           -- from 1
    role TEXT NOT NULL,                -- user, assistant
    tool TEXT NOT NULL,
    model TEXT,
    provider TEXT,
    text TEXT NOT NULL,
    step TEXT,                         -- JSON
    files TEXT NOT NULL,               -- JSON, a list of paths
    at INTEGER NOT NULL,
    PRIMARY KEY (thread, number)
) STRICT;

CREATE TABLE calls (
    number INTEGER PRIMARY KEY,        -- in the order in which calls begin
    reference TEXT NOT NULL UNIQUE,
    thread TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    tool TEXT NOT NULL,
    state TEXT NOT NULL,               -- running, done, failed, cancelled, interrupted
    paid INTEGER NOT NULL,             -- while it runs: how many models it asks
    told INTEGER NOT NULL DEFAULT 0,   -- whether an agent has heard how it ended
    partial TEXT NOT NULL DEFAULT '',  -- what has come, until there is a result
    result TEXT,                       -- JSON
    owner TEXT NOT NULL,               -- JSON, the identity of the process that makes it
    begun_at INTEGER NOT NULL
) STRICT;
CREATE INDEX calls_thread ON calls (thread, key);
CREATE INDEX calls_key ON calls (key);
";

/// Gives the database of a connection the tables of today. One that is newer, or another program's, is left as it is.
pub(super) fn migrate(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), Failure> {
    if find_version(connection, path, migrations)? == migrations.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let version = find_version(&transaction, path, migrations)?;
    for migration in &migrations[version..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", migrations.len() as u32)?;
    transaction.commit()?;
    Ok(())
}

/// The version of the tables, from 0 for an empty file to that of today.
///
/// # Errors
/// The database is newer, or none of ours.
pub(super) fn find_version(
    connection: &Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<usize, Failure> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION_ID || version == 0 {
        let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application == 0 && version == 0 && tables == 0 {
            return Ok(0);
        }
        let reason = "it holds the tables of another program".to_owned();
        return Err(ThreadError::Damaged { path: path.to_owned(), reason }.into());
    }
    let known = migrations.len();
    if version as usize > known {
        return Err(ThreadError::Newer { path: path.to_owned(), version, known: known as u32 }.into());
    }
    Ok(version as usize)
}
