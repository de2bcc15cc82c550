//! macOS. Never run. What libproc's `PROC_PIDFDPIPEINFO` would tell of pipes is not written yet; of the bytes
//! that went through pipes it keeps no count.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
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

pub(crate) fn works_in(pid: u32, directory: &Path) -> io::Result<bool> {
    let raw = libc::c_int::try_from(pid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the structure is plain numbers, for which zero is a value.
    let mut paths: libc::proc_vnodepathinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_vnodepathinfo>() as libc::c_int;
    // SAFETY: the buffer is as large as the size given.
    let written =
        unsafe { libc::proc_pidinfo(raw, libc::PROC_PIDVNODEPATHINFO, 0, (&raw mut paths).cast(), size) };
    if written != size {
        return Err(io::Error::last_os_error());
    }
    let found = paths.pvi_cdir.vip_path.as_flattened().iter().map(|c| *c as u8);
    Ok(found.take_while(|byte| *byte != 0).eq(directory.as_os_str().as_bytes().iter().copied()))
}

#[expect(clippy::unnecessary_wraps, reason = "its twin asks the system")]
pub(crate) fn started_at(start: u64) -> io::Result<Option<SystemTime>> {
    Ok(SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(start)))
}

pub(crate) fn clock() -> io::Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(since.as_micros() as u64)
}
