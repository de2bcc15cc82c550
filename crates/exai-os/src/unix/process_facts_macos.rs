//! macOS. Never run. What libproc's `PROC_PIDFDPIPEINFO` would tell of pipes is not written yet; of the bytes
//! that went through pipes it keeps no count.

use std::io;
use std::time::{Duration, SystemTime};

use crate::process_facts::{End, IoCounters, PipeId};

pub use std::os::fd::AsFd as AsEnd;

pub(crate) fn pipe_id(_end: impl AsEnd) -> io::Result<PipeId> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn holds<const N: usize>(_pid: u32, _ends: [(PipeId, End); N]) -> io::Result<[bool; N]> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn io_counters(_pid: u32) -> io::Result<IoCounters> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn environment_variable(_pid: u32, _name: &str) -> io::Result<Option<String>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[expect(clippy::unnecessary_wraps, reason = "its twin asks the system")]
pub(crate) fn started_at(start: u64) -> io::Result<Option<SystemTime>> {
    Ok(SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(start)))
}

pub(crate) fn clock() -> io::Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(since.as_micros() as u64)
}
