//! Calls as rows of their table.

use exai_os::process::Identity;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use super::call_key::CallKey;
use super::failure::Failure;
use super::rows::{parse, read_time, wrong};

/// A call as it was written last.
#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) reference: String,
    pub(super) thread: String,
    pub(super) tool: String,
    pub(super) state: RowState,
    /// How many models were paid; while it runs, how many it asks.
    pub(super) paid: u32,
    /// Whether an agent has heard how it ended.
    pub(super) told: bool,
    pub(super) partial: String,
    pub(super) owner: Identity,
    pub(super) begun_at: Timestamp,
}

/// The state of a call as it was written last: the process of a running one may be gone.
#[derive(Debug, PartialEq)]
pub(super) enum RowState {
    Running,
    Done {
        result: Value,
    },
    Failed {
        result: Value,
    },
    Cancelled,
    /// It was made anew after its process was gone.
    Interrupted,
}

const CALLS: &str =
    "SELECT reference, thread, tool, state, result, paid, told, partial, owner, begun_at FROM calls";

pub(super) fn find(connection: &Connection, reference: &str) -> Result<Option<CallRow>, Failure> {
    let found =
        connection.query_row(&format!("{CALLS} WHERE reference = ?"), [reference], read).optional()?;
    Ok(found)
}

/// The last call of a thread with this key.
pub(super) fn find_last(
    connection: &Connection,
    thread: &str,
    key: &CallKey,
) -> Result<Option<CallRow>, Failure> {
    let sql = format!("{CALLS} WHERE thread = ? AND key = ? ORDER BY number DESC LIMIT 1");
    Ok(connection.query_row(&sql, params![thread, key.as_str()], read).optional()?)
}

/// The newest thread of a client whose first call has this key, began after `since`, and has not been heard of.
pub(super) fn find_unheard(
    connection: &Connection,
    key: &CallKey,
    client: Option<String>,
    since: i64,
) -> Result<Option<String>, Failure> {
    let found = connection
        .query_row(
            "SELECT threads.id FROM calls JOIN threads ON threads.id = calls.thread
             WHERE key = ?1 AND told = 0 AND begun_at > ?2 AND client IS ?3
             AND NOT EXISTS (
                 SELECT 1 FROM calls AS other
                 WHERE other.thread = calls.thread AND (other.key <> ?1 OR other.told = 1))
             ORDER BY number DESC LIMIT 1",
            params![key.as_str(), since, client],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found)
}

pub(super) fn note_told(connection: &Connection, reference: &str) -> Result<(), Failure> {
    connection
        .execute("UPDATE calls SET told = 1 WHERE reference = ? AND state <> 'running'", [reference])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let result = || {
        let text: String = row.get(4)?;
        parse(4, &text)
    };
    Ok(CallRow {
        reference: row.get(0)?,
        thread: row.get(1)?,
        tool: row.get(2)?,
        state: match row.get_ref(3)?.as_str()? {
            "running" => RowState::Running,
            "done" => RowState::Done { result: result()? },
            "failed" => RowState::Failed { result: result()? },
            "cancelled" => RowState::Cancelled,
            "interrupted" => RowState::Interrupted,
            other => return Err(wrong(3, format!("a call that is {other}"))),
        },
        paid: row.get(5)?,
        told: row.get(6)?,
        partial: row.get(7)?,
        owner: parse(8, row.get_ref(8)?.as_str()?)?,
        begun_at: read_time(row, 9)?,
    })
}
