//! What the kernel tells about a single process besides its identity: the raw facts for judging roles.
//!
//! A pid is a hint: check afterwards that it still is the process that is meant. A process that is gone gives
//! `NotFound`, one that this account may not look into `PermissionDenied`, and a fact that the system does not tell
//! `Unsupported`.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::sys;

/// How an end of a pipe is borrowed: as a descriptor, or as a handle on Windows.
pub use crate::sys::process_facts::AsEnd;

/// The identity of a pipe, valid as long as one of its ends is open. Both ends have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PipeId(pub(crate) u64);

/// One of the two ends of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The end where its bytes come out, such as the stdin of a program.
    Read,
    /// The end where its bytes go in, such as the stdout of a program.
    Write,
}

/// How many bytes a process has passed to the calls that read and write, since it started: of files, pipes and
/// sockets alike. Once a process has reaped a child, the counters of the child are added to its own (Linux).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Bytes it has read.
    pub read: u64,
    /// Bytes it has written.
    pub written: u64,
}

impl PipeId {
    /// The pipe that an end of ours belongs to. `InvalidInput` if it is no pipe. Linux only.
    pub fn of(end: impl AsEnd) -> io::Result<Self> {
        sys::process_facts::pipe_id(end)
    }
}

/// Whether a process holds each of these ends, in the same order. Looks at stdin and stdout first, and at no more
/// than 1024 descriptors. Linux only.
pub fn holds<const N: usize>(pid: u32, ends: [(PipeId, End); N]) -> io::Result<[bool; N]> {
    sys::process_facts::holds(pid, ends)
}

/// How much a process has read and written. Linux and Windows.
pub fn io_counters(pid: u32) -> io::Result<IoCounters> {
    sys::process_facts::io_counters(pid)
}

/// A variable of the environment that a process was started with; `None` when it has none of that name. Bytes
/// that are no UTF-8 are replaced. Looks at no more than the first MiB. Linux, and Windows, where the process may have
/// changed it since.
pub fn environment_variable(pid: u32, name: &str) -> io::Result<Option<String>> {
    sys::process_facts::environment_variable(pid, name)
}

/// Whether this path, which must be as the system writes it, is that of the working directory of a process, and means the
/// same directory to this process. The directory itself is not looked at: its file system may hang. Linux and macOS.
pub fn works_in(pid: u32, directory: &Path) -> io::Result<bool> {
    sys::process_facts::works_in(pid, directory)
}

/// When a process with this [`crate::process::Identity::start`] started, for people to read: the clock may have been
/// set since, and two results may differ by milliseconds. `None` for a time no clock can show.
pub fn started_at(start: u64) -> io::Result<Option<SystemTime>> {
    sys::process_facts::started_at(start)
}

/// How long a process with this start has lived. Never negative, and on Linux correct even when the clock was set
/// meanwhile. `None` as for [`started_at`].
pub fn age(start: u64) -> io::Result<Option<Duration>> {
    let started = started_at(start)?;
    Ok(started.map(|started| SystemTime::now().duration_since(started).unwrap_or_default()))
}

/// The present in the unit of [`crate::process::Identity::start`]: a process that starts later has a `start` that is
/// no smaller.
pub fn clock() -> io::Result<u64> {
    sys::process_facts::clock()
}

#[cfg(all(test, any(target_os = "linux", windows)))]
mod tests;
