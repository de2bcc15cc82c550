//! Exit codes of `exai`. They are part of the interface: scripts rely on them.

/// Done; also `start` when degraded and `stop` with nothing running.
pub const DONE: u8 = 0;
/// Failed: the command was understood and could not be carried out.
pub const FAILED: u8 = 1;
/// The command line was wrong.
pub const USAGE: u8 = 2;
/// No daemon runs (`status`, `ps`).
pub const NOT_RUNNING: u8 = 3;
/// The daemon is degraded or wedged (`status`).
pub const DEGRADED: u8 = 4;
/// Refused for safety: a foreign or unsafe file, directory or process.
pub const REFUSED: u8 = 5;
/// `doctor` or `cleanup` found something.
pub const FINDINGS: u8 = 6;
/// Another daemon holds the lock (`serve`). EX_TEMPFAIL of sysexits.h.
pub const LOCK_HELD: u8 = 75;
