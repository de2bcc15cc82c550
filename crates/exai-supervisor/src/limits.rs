//! Every bound of this crate: how long, how much, how many.

use std::time::Duration;

// The stdio of a server.

/// One read of stdout: what a Linux pipe holds. More is not gathered for one write either.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// One read of stderr.
pub(crate) const STDERR_READ_BYTES: usize = 16 * 1024;
/// Messages below this are gathered into one write.
pub(crate) const GATHER_BYTES: usize = 16 * 1024;
/// How much of a line that is too long is kept, to tell whose it was.
pub(crate) const KEPT_OF_TOO_LONG_BYTES: usize = 4096;
/// The most by which a buffer of lines grows at once.
pub(crate) const MAX_GROWTH_BYTES: usize = 4 * 1024 * 1024;
/// A line from here on takes the buffer with it, cut to its length. What waits somewhere is counted by its length, so it
/// must not hold more memory than that; and the room that one long line needed is not kept for ever.
pub(crate) const LONG_LINE_BYTES: usize = 128 * 1024;
/// How many batches of one connection or job may wait: one is heard while the next is read.
pub const TURNS: usize = 2;
/// How many gaps a queue leaves alone: closing fewer takes longer than they are worth.
pub(crate) const MAX_GAPS: usize = 64;

// The end of a job.

/// How long a step of the stop ladder may take: closing stdin, asking to terminate.
pub const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long what a process wrote before it exited may take to be read. Later lines are another process's.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_millis(250);
/// How long stdout has to end once stdin is broken.
pub(crate) const LAST_OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the root has to exit once stdout has ended, the pipes have to end once the group is dead, and, after
/// [`DRAIN_TIMEOUT`], the process that holds the pipes has to speak once the root has exited. All clients wait in that time
/// for a server that may be dead: all of it and the next start should take less than a second.
pub(crate) const EXIT_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a tree is searched for what a root that has exited left to work on.
pub(crate) const MEMBERS_INTERVAL: Duration = Duration::from_millis(500);

// Logs.

/// The longest log of a server, in bytes, before it is set aside.
pub const LOG_BYTES: u64 = 10 * 1024 * 1024;
/// How many lines of stderr are kept for error messages.
pub const TAIL_LINES: usize = 20;
/// How much of each of these lines is kept.
pub(crate) const TAIL_LINE_BYTES: usize = 400;
/// How much of what is printed on stdout may wait for the disk.
pub(crate) const MAX_PRINTED_BYTES: usize = 256 * 1024;
/// How much of a printed line is kept.
pub(crate) const MAX_PRINTED_LINE_BYTES: usize = 4096;

// Records and leftovers.

/// The longest record of a tree that is read.
pub(crate) const MAX_RECORD_BYTES: u64 = 1024 * 1024;
/// How many files of a directory of records are looked at. More are for the next time.
pub(crate) const MAX_FILES: usize = 10_000;
/// A temporary file this old was left by a writer that was killed: writing takes milliseconds.
pub(crate) const STALE_TEMPORARY_AGE: Duration = Duration::from_mins(1);
/// How long a guard is left to its work: it knows its tree better than we can.
pub(crate) const GUARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of the deadline is kept for ending a guard that does not get done.
pub(crate) const DEADLINE_RESERVE: Duration = Duration::from_secs(2);
/// How long a process may take to end when it is asked to.
pub(crate) const TERMINATE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the processes of a tree are killed while its guard is let live.
pub(crate) const KILL_BESIDE_GUARD_TIMEOUT: Duration = Duration::from_millis(500);
/// How long one round of killing waits for its dead.
pub(crate) const KILL_ROUND_TIMEOUT: Duration = Duration::from_millis(100);

// Who the server is.

/// A process that reads so many times as much as an exchange has does something else meanwhile.
pub(crate) const BUSY_FACTOR: u64 = 16;
