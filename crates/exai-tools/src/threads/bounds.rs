//! Every bound of the threads: how much, how many, how long.

use std::time::Duration;

/// The longest text of one turn, in bytes.
pub const MAX_TEXT_BYTES: usize = 8 << 20;
/// How many turns a thread may have.
pub const MAX_TURNS: u32 = 500;
/// How many bytes the turns of a thread may have together.
pub const MAX_THREAD_BYTES: u64 = 128 << 20;
/// The longest arguments of a step that are kept with a turn, in bytes of JSON.
pub(super) const MAX_STEP_BYTES: usize = 8 << 20;
/// How many files one turn may name.
pub(super) const MAX_FILES: usize = 10_000;
/// How many characters of the first line of the first request make the title of a thread.
pub(super) const MAX_TITLE_CHARS: usize = 80;
/// How many characters of the name of a client are kept.
pub(super) const MAX_CLIENT_CHARS: usize = 128;
/// How many characters of a wrong id are repeated in an error.
pub(super) const MAX_SHOWN_ID_CHARS: usize = 64;
/// How long a function waits for other processes that write.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How often what is expired is removed.
pub(super) const UPKEEP_INTERVAL: Duration = Duration::from_hours(1);
/// How often a call of another process is looked at while it is waited for.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long a client that has not heard the first answer of a thread can ask for it with the same request, in milliseconds.
pub(super) const REPEAT_WINDOW_MS: i64 = 3_600_000;
/// How much of the write-ahead log stays on the disk, in bytes.
pub(super) const MAX_LOG_BYTES: u64 = 16 << 20;
/// How many free pages (of 4 KiB) are given back to the disk at once.
pub(super) const PAGES_GIVEN_BACK: u32 = 4096;
/// With less free space than this, an error of the disk counts as its being full. The shared memory of the write-ahead log
/// takes 32 KiB.
pub(super) const FULL_DISK_BYTES: u64 = 64 << 10;
/// How many databases that were put aside are kept.
pub(super) const MAX_SET_ASIDE: usize = 3;

/// How much all threads together may take. Beyond it those go that were unused longest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) threads: u32,
    /// Bytes of the database in use.
    pub(super) bytes: u64,
}

/// The bounds of the product.
pub(super) const BOUNDS: Bounds = Bounds { threads: 10_000, bytes: 1 << 30 };
