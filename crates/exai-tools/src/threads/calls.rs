//! Calls: begun once, noted while they run, ended with what they have brought.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use serde_json::Value;

use super::bounds::{LOOK_INTERVAL, MAX_SHOWN_ID_CHARS, MAX_TEXT_BYTES, REPEAT_WINDOW_MS};
use super::call::{Call, CallStart, CallState, Finished, NewCall};
use super::call_key::CallKey;
use super::call_rows::{self, CallRow, RowState};
use super::error::ThreadError;
use super::failure::{Failure, explain_io};
use super::id::make_reference;
use super::owner;
use super::rows;
use super::store::{ThreadStore, check_room, find_facts};
use super::thread::{NewTurn, cut_to, make_client_name};

impl ThreadStore {
    /// Begins a call, or says what has become of the same call before. Of several that begin the same call at once, in
    /// whatever processes, exactly one gets [`CallStart::New`].
    ///
    /// # Errors
    /// Among others: the thread has no room for the call, or may pay for no more.
    pub fn begin_call(&self, new: &NewCall<'_>) -> Result<CallStart, ThreadError> {
        let path = self.database.home().database();
        let owner = owner::this_process().map_err(|error| explain_io(&path, &error))?;
        self.database.write(|connection| {
            check_thread(connection, new.thread)?;
            if let Some(last) = call_rows::find_last(connection, new.thread, new.key)?
                && let Some(start) = answer_from(connection, last, new)?
            {
                return Ok(start);
            }
            check_room(connection, new.thread, 2)?;
            check_paid(connection, new)?;
            let (reference, now) = (make_reference(), rows::now());
            connection.execute(
                "INSERT INTO calls (reference, thread, key, tool, state, paid, owner, begun_at)
                 VALUES (?, ?, ?, ?, 'running', ?, ?, ?)",
                params![
                    reference,
                    new.thread,
                    new.key.as_str(),
                    new.tool,
                    new.asks,
                    rows::to_json(owner),
                    now
                ],
            )?;
            rows::touch(connection, new.thread, now)?;
            Ok(CallStart::New { reference })
        })
    }

    /// The thread that this client has begun with the same call within the last hour, if nobody has heard how that call
    /// ended: the client gave up before it knew the id of the thread, and asks again.
    pub fn find_unheard_thread(
        &self,
        key: &CallKey,
        client: Option<&str>,
    ) -> Result<Option<String>, ThreadError> {
        let since = rows::now().saturating_sub(REPEAT_WINDOW_MS);
        let client = client.map(make_client_name);
        let found =
            self.database.read(|connection| call_rows::find_unheard(connection, key, client, since))?;
        Ok(found.flatten())
    }

    /// Notes what has come of the answer so far. Nothing happens to a call that has ended.
    pub fn note_partial(&self, reference: &str, partial: &str) -> Result<(), ThreadError> {
        self.database.write(|connection| {
            connection.execute(
                "UPDATE calls SET partial = ? WHERE reference = ? AND state = 'running'",
                params![cut_partial(partial), reference],
            )?;
            Ok(())
        })
    }

    /// Ends a call that has a result, adds its turns to the thread and counts what was paid: all of it, or nothing. Turns
    /// that are longer than what is kept are cut.
    pub fn finish_call(&self, reference: &str, finished: &Finished<'_>) -> Result<(), ThreadError> {
        let turns: Vec<NewTurn> = finished.turns.iter().map(NewTurn::cut).collect();
        self.database.write(|connection| {
            let thread = end(connection, reference, "done", finished.paid, Some(finished.result))?;
            rows::add_turns(connection, &thread, &turns, rows::now())?;
            self.keep_bounds(connection, &thread)
        })
    }

    /// Ends a call that has failed. `result` is what the agent is answered with, `paid` how many models were paid all the
    /// same. If any was, the next same call is answered with this failure, unless [`ThreadStore::note_told`] came before.
    pub fn fail_call(&self, reference: &str, result: &Value, paid: u32) -> Result<(), ThreadError> {
        self.database.write(|connection| {
            end(connection, reference, "failed", paid, Some(result))?;
            Ok(())
        })
    }

    /// Ends a call that was cancelled, with what had come of the answer. If a model was paid, the same call is made again
    /// only if the agent says `pay_again`.
    pub fn cancel_call(&self, reference: &str, partial: &str, paid: u32) -> Result<(), ThreadError> {
        self.database.write(|connection| {
            end(connection, reference, "cancelled", paid, None)?;
            connection.execute(
                "UPDATE calls SET partial = ? WHERE reference = ?",
                params![cut_partial(partial), reference],
            )?;
            Ok(())
        })
    }

    /// Notes that an agent was told how the call has ended.
    pub fn note_told(&self, reference: &str) -> Result<(), ThreadError> {
        self.database.write(|connection| call_rows::note_told(connection, reference))
    }

    /// What has become of a call. Creates no file.
    pub fn find_call(&self, reference: &str) -> Result<Call, ThreadError> {
        let reference = reference.trim();
        let found = self.database.read(|connection| call_rows::find(connection, reference))?;
        let row = found.flatten().ok_or_else(|| not_found(reference))?;
        Ok(describe(row))
    }

    /// Waits until a call that another process makes has ended, for at most `timeout`, and says what has become of it.
    pub fn wait_call(&self, reference: &str, timeout: Duration) -> Result<Call, ThreadError> {
        let deadline = Instant::now() + timeout;
        loop {
            let call = self.find_call(reference)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !matches!(call.state, CallState::Running { .. }) {
                return Ok(call);
            }
            std::thread::sleep(LOOK_INTERVAL.min(left));
        }
    }
}

fn check_thread(connection: &Connection, thread: &str) -> Result<(), Failure> {
    find_facts(connection, thread).map(|_| ())
}

/// How the same call before answers this one; `None` if it is made anew.
fn answer_from(
    connection: &Connection,
    last: CallRow,
    new: &NewCall<'_>,
) -> Result<Option<CallStart>, Failure> {
    let reference = last.reference.clone();
    Ok(match last.state {
        RowState::Running if owner::is_alive(&last.owner) => {
            let here = owner::is_this_process(&last.owner);
            Some(CallStart::Running { reference, here })
        }
        RowState::Running if new.pay_again => {
            // What a process that is gone has paid, nobody knows.
            end(connection, &reference, "interrupted", last.paid, None)?;
            None
        }
        RowState::Running if last.paid == 0 => {
            end(connection, &reference, "interrupted", 0, None)?;
            None
        }
        RowState::Running => Some(CallStart::Interrupted { reference, partial: last.partial }),
        RowState::Done { .. } if new.repeatable && last.told => None,
        RowState::Done { result } => Some(CallStart::Done { reference, result }),
        RowState::Failed { result } if last.paid > 0 && !last.told && !new.pay_again => {
            call_rows::note_told(connection, &reference)?;
            Some(CallStart::Failed { reference, result })
        }
        RowState::Cancelled if last.paid > 0 && !new.pay_again => {
            Some(CallStart::Interrupted { reference, partial: last.partial })
        }
        RowState::Failed { .. } | RowState::Cancelled | RowState::Interrupted => None,
    })
}

/// An error if the thread may not pay for the call.
fn check_paid(connection: &Connection, new: &NewCall<'_>) -> Result<(), Failure> {
    let made = find_facts(connection, new.thread)?.paid_calls;
    // Those under way, and those whose process is gone: they may have been paid.
    let open: u32 = connection.query_row(
        "SELECT coalesce(sum(paid), 0) FROM calls WHERE thread = ? AND state = 'running'",
        [new.thread],
        |row| row.get(0),
    )?;
    let made = made.saturating_add(open);
    if new.asks > 0 && made.saturating_add(new.asks) > new.max_paid {
        return Err(ThreadError::TooManyCalls { made, max: new.max_paid }.into());
    }
    Ok(())
}

/// Ends a running call and counts what was paid in its thread, which is returned.
fn end(
    connection: &Connection,
    reference: &str,
    state: &str,
    paid: u32,
    result: Option<&Value>,
) -> Result<String, Failure> {
    let row = call_rows::find(connection, reference)?.ok_or_else(|| not_found(reference))?;
    if row.state != RowState::Running {
        return Err(ThreadError::CallEnded { reference: row.reference }.into());
    }
    connection.execute(
        "UPDATE calls SET state = ?, paid = ?, result = ?, partial = iif(?3 IS NULL, partial, '') WHERE reference = ?",
        params![state, paid, result.map(Value::to_string), reference],
    )?;
    connection.execute(
        "UPDATE threads SET paid_calls = paid_calls + ?, used_at = ? WHERE id = ?",
        params![paid, rows::now(), row.thread],
    )?;
    Ok(row.thread)
}

fn describe(row: CallRow) -> Call {
    let partial = row.partial;
    let state = match row.state {
        RowState::Running if owner::is_alive(&row.owner) => {
            CallState::Running { partial, here: owner::is_this_process(&row.owner) }
        }
        RowState::Running | RowState::Interrupted => CallState::Interrupted { partial },
        RowState::Done { result } => CallState::Done { result },
        RowState::Failed { result } => CallState::Failed { result },
        RowState::Cancelled => CallState::Cancelled { partial },
    };
    Call { reference: row.reference, thread: row.thread, tool: row.tool, begun_at: row.begun_at, state }
}

fn cut_partial(partial: &str) -> &str {
    &partial[..partial.floor_char_boundary(MAX_TEXT_BYTES)]
}

fn not_found(reference: &str) -> ThreadError {
    ThreadError::CallNotFound { reference: cut_to(reference, MAX_SHOWN_ID_CHARS) }
}
