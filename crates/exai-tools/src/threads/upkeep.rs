//! What keeps `exai.db` small: threads that expire, and those that are too many.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::bounds::{Bounds, PAGES_GIVEN_BACK};
use super::failure::Failure;

/// How many threads go at once, at most, so that others get their turn.
const BATCH: u32 = 200;

/// Removes the threads that were not used for as long as `keep`, at most [`BATCH`]. Returns how many.
pub(super) fn remove_expired(connection: &Connection, now: i64, keep: Duration) -> Result<usize, Failure> {
    let before = now.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let removed = connection.execute(
        "DELETE FROM threads WHERE id IN (SELECT id FROM threads WHERE used_at <= ? ORDER BY used_at LIMIT ?)",
        params![before, BATCH],
    )?;
    Ok(removed)
}

/// Removes the threads that were unused longest while there are too many or they take too much, at most [`BATCH`]. The
/// thread `in_use` and those with a running call stay. Returns how many went.
pub(super) fn keep_bounds(connection: &Connection, bounds: &Bounds, in_use: &str) -> Result<usize, Failure> {
    let count: u32 = connection.query_row("SELECT count(*) FROM threads", [], |row| row.get(0))?;
    let mut surplus = count.saturating_sub(bounds.threads);
    // Once there is too much, a tenth goes, so that not every call has to remove something.
    let most = if used_bytes(connection)? > bounds.bytes { bounds.bytes / 10 * 9 } else { bounds.bytes };
    let mut removed = 0;
    while removed < BATCH as usize && (surplus > 0 || used_bytes(connection)? > most) {
        let gone = connection.execute(
            "DELETE FROM threads WHERE id = (
                 SELECT id FROM threads WHERE id <> ?
                 AND NOT EXISTS (SELECT 1 FROM calls WHERE thread = threads.id AND state = 'running')
                 ORDER BY used_at LIMIT 1)",
            [in_use],
        )?;
        if gone == 0 {
            break;
        }
        removed += gone;
        surplus = surplus.saturating_sub(1);
    }
    Ok(removed)
}

/// Gives some of the free space in the file back to the disk.
pub(super) fn give_back(connection: &Connection) -> Result<(), Failure> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})"))?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}

fn used_bytes(connection: &Connection) -> Result<u64, Failure> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(u64::from(pages) * u64::from(number("page_size")?))
}
