//! Threads and turns as rows of tables.

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::thread::{NewTurn, ThreadFacts, Turn};
use crate::models::request::Role;

const FACTS: &str = "SELECT id, tool, title, client, created_at, used_at, paid_calls, turns FROM threads";

/// All threads, the one used last first; of two that were used in the same millisecond, the one begun last.
pub(super) fn list_threads(connection: &Connection) -> Result<Vec<ThreadFacts>, Failure> {
    let mut statement = connection.prepare(&format!("{FACTS} ORDER BY used_at DESC, rowid DESC"))?;
    let found = statement.query_map([], read_facts)?.collect::<Result<_, _>>()?;
    Ok(found)
}

/// What is known of a thread.
pub(super) fn find_thread(connection: &Connection, id: &str) -> Result<Option<ThreadFacts>, Failure> {
    let found = connection.query_row(&format!("{FACTS} WHERE id = ?"), [id], read_facts).optional()?;
    Ok(found)
}

fn read_facts(row: &Row<'_>) -> rusqlite::Result<ThreadFacts> {
    Ok(ThreadFacts {
        id: row.get(0)?,
        tool: row.get(1)?,
        title: row.get(2)?,
        client: row.get(3)?,
        created_at: read_time(row, 4)?,
        used_at: read_time(row, 5)?,
        paid_calls: row.get(6)?,
        turn_count: row.get(7)?,
    })
}

/// The turns of a thread, oldest first.
pub(super) fn list_turns(connection: &Connection, thread: &str) -> Result<Vec<Turn>, Failure> {
    let mut statement = connection.prepare(
        "SELECT number, role, tool, model, provider, text, step, files, at FROM turns
         WHERE thread = ? ORDER BY number",
    )?;
    let found = statement.query_map([thread], read_turn)?.collect::<Result<_, _>>()?;
    Ok(found)
}

fn read_turn(row: &Row<'_>) -> rusqlite::Result<Turn> {
    Ok(Turn {
        number: row.get(0)?,
        role: match row.get_ref(1)?.as_str()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => return Err(wrong(1, format!("a turn of a {other}"))),
        },
        tool: row.get(2)?,
        model: row.get(3)?,
        provider: row.get(4)?,
        text: row.get(5)?,
        step: row.get_ref(6)?.as_str_or_null()?.map(|text| parse(6, text)).transpose()?,
        files: parse(7, row.get_ref(7)?.as_str()?)?,
        at: read_time(row, 8)?,
    })
}

/// Adds turns behind those that a thread has, and counts them.
pub(super) fn add_turns(
    connection: &Connection,
    thread: &str,
    turns: &[NewTurn],
    now: i64,
) -> Result<(), Failure> {
    let mut insert = connection.prepare(
        "INSERT INTO turns (thread, number, role, tool, model, provider, text, step, files, at)
         SELECT id, turns + 1, :role, :tool, :model, :provider, :text, :step, :files, :at FROM threads WHERE id = :thread",
    )?;
    for turn in turns {
        let (step, files) = (turn.step_text(), to_json(&turn.files));
        insert.execute(named_params! {
            ":thread": thread,
            ":role": match turn.role { Role::User => "user", Role::Assistant => "assistant" },
            ":tool": turn.tool,
            ":model": turn.model,
            ":provider": turn.provider,
            ":text": turn.text,
            ":step": step,
            ":files": files,
            ":at": now,
        })?;
        let bytes = turn.text.len() + step.map_or(0, |step| step.len()) + files.len();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        connection.execute(
            "UPDATE threads SET turns = turns + 1, bytes = bytes + ? WHERE id = ?",
            params![bytes, thread],
        )?;
    }
    Ok(())
}

/// Says that a thread was used.
pub(super) fn touch(connection: &Connection, thread: &str, now: i64) -> Result<(), Failure> {
    connection.execute("UPDATE threads SET used_at = ? WHERE id = ?", params![now, thread])?;
    Ok(())
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A column with a time.
pub(super) fn read_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|error| wrong(column, error.to_string()))
}

/// The JSON of a column.
pub(super) fn parse<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| wrong(column, error.to_string()))
}

/// A value as JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("BUG: lists and identities can be JSON")
}

/// A column that holds what no exai has written.
pub(super) fn wrong(column: usize, reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        column,
        Type::Text,
        Box::new(FromSqlError::other(Wrong(reason))),
    )
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);
