//! Windows counts a process's input and output, but does not say who holds the other end of a pipe.

use std::io;
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use windows_sys::Win32::System::Threading::{
    GetProcessIoCounters, IO_COUNTERS, PROCESS_QUERY_LIMITED_INFORMATION,
};

use super::handle::check;
use crate::process_facts::{End, IoCounters, PipeId};

pub use std::os::windows::io::AsHandle as AsEnd;

/// From 1601, where Windows begins to count, to 1970: 134,774 days.
const UNTIL_1970: Duration = Duration::from_hours(134_774 * 24);

pub(crate) fn pipe_id(_end: impl AsEnd) -> io::Result<PipeId> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn holds<const N: usize>(_pid: u32, _ends: [(PipeId, End); N]) -> io::Result<[bool; N]> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn io_counters(pid: u32) -> io::Result<IoCounters> {
    let process = super::handle::open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)?
        .ok_or(io::ErrorKind::NotFound)?;
    let mut counters = IO_COUNTERS::default();
    // SAFETY: an open handle with the right to query, and a place for the counters.
    check(unsafe { GetProcessIoCounters(process.as_raw_handle(), &raw mut counters) })?;
    Ok(IoCounters { read: counters.ReadTransferCount, written: counters.WriteTransferCount })
}

pub(crate) fn environment_variable(pid: u32, name: &str) -> io::Result<Option<String>> {
    let all = super::memory::environment(pid)?;
    // An empty text ends it; what lies behind is of earlier times.
    let texts = all.split(|unit| *unit == 0).take_while(|text| !text.is_empty());
    let mut texts = texts.map(String::from_utf16_lossy);
    Ok(texts.find_map(|text| match text.split_once('=') {
        Some((found, value)) if found.eq_ignore_ascii_case(name) => Some(value.to_owned()),
        _ => None,
    }))
}

pub(crate) fn works_in(_pid: u32, _directory: &Path) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

#[expect(clippy::unnecessary_wraps, reason = "its twin asks the system")]
pub(crate) fn started_at(start: u64) -> io::Result<Option<SystemTime>> {
    let since_1601 = Duration::new(start / 10_000_000, (start % 10_000_000) as u32 * 100);
    let since_1970 = since_1601.checked_sub(UNTIL_1970);
    Ok(since_1970.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
}

pub(crate) fn clock() -> io::Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(((since + UNTIL_1970).as_nanos() / 100) as u64)
}
