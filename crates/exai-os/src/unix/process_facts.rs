//! Linux: /proc. See proc_pid_fd(5), proc_pid_io(5), proc_pid_environ(5), proc_pid_cwd(5) and namespaces(7).

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::time::ClockId;

use crate::process_facts::{End, IoCounters, PipeId};

pub use std::os::fd::AsFd as AsEnd;

/// How many descriptors of a process are looked at. A process with a thousand open descriptors has its stdio among
/// the first.
const MAX_DESCRIPTORS: usize = 1024;
const MAX_ENVIRONMENT_BYTES: u64 = 1024 * 1024;

pub(crate) fn pipe_id(end: impl AsEnd) -> io::Result<PipeId> {
    let stat = rustix::fs::fstat(end)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
        return Ok(PipeId(stat.st_ino));
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"))
}

pub(crate) fn holds<const N: usize>(pid: u32, ends: [(PipeId, End); N]) -> io::Result<[bool; N]> {
    let mut held = [false; N];
    let mut look = |descriptor: &Path| -> bool {
        // A descriptor may be closed during the search.
        let found = pipe_of(descriptor);
        for (end, held) in ends.iter().zip(&mut held) {
            *held |= found.is_some_and(|pipe| pipe == end.0) && may(descriptor, end.1);
        }
        held == [true; N]
    };
    let folder = format!("/proc/{pid}/fd");
    let folder = Path::new(&folder);
    if !look(&folder.join("0")) && !look(&folder.join("1")) {
        for entry in fs::read_dir(folder).map_err(gone)?.take(MAX_DESCRIPTORS) {
            if look(&entry.map_err(gone)?.path()) {
                break;
            }
        }
    }
    Ok(held)
}

fn pipe_of(descriptor: &Path) -> Option<PipeId> {
    let target = fs::read_link(descriptor).ok()?;
    let inode = target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?;
    inode.parse().ok().map(PipeId)
}

/// The bits of the link itself say what the descriptor may be used for.
fn may(descriptor: &Path, end: End) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let bit = match end {
        End::Read => 0o400,
        End::Write => 0o200,
    };
    fs::symlink_metadata(descriptor).is_ok_and(|link| link.mode() & bit != 0)
}

pub(crate) fn io_counters(pid: u32) -> io::Result<IoCounters> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).map_err(gone)?;
    let field = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
    };
    match (field("rchar:"), field("wchar:")) {
        (Some(read), Some(written)) => Ok(IoCounters { read, written }),
        _ => Err(io::Error::other(format!("/proc/{pid}/io has an unknown form"))),
    }
}

pub(crate) fn environment_variable(pid: u32, name: &str) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/environ")).map_err(gone)?;
    file.take(MAX_ENVIRONMENT_BYTES).read_to_end(&mut bytes).map_err(gone)?;
    let wanted = |entry: &[u8]| {
        let equals = entry.iter().position(|byte| *byte == b'=')?;
        let value = &entry[equals + 1..];
        (&entry[..equals] == name.as_bytes()).then(|| String::from_utf8_lossy(value).into_owned())
    };
    Ok(bytes.split(|byte| *byte == 0).find_map(wanted))
}

pub(crate) fn works_in(pid: u32, directory: &Path) -> io::Result<bool> {
    // Where other file systems are mounted, the same path is that of another directory.
    let mounts = |of: &str| fs::read_link(format!("/proc/{of}/ns/mnt")).map_err(gone);
    let pid = pid.to_string();
    let found = fs::read_link(format!("/proc/{pid}/cwd")).map_err(gone)?;
    Ok(found.as_os_str() == directory.as_os_str() && mounts(&pid)? == mounts("self")?)
}

pub(crate) fn started_at(start: u64) -> io::Result<Option<SystemTime>> {
    let now = SystemTime::now();
    let since_boot = since_boot()?;
    let hertz = ticks_per_second();
    let start = Duration::from_secs(start / hertz) + Duration::from_secs(start % hertz) / hertz as u32;
    Ok(now.checked_sub(since_boot).and_then(|boot| boot.checked_add(start)))
}

pub(crate) fn clock() -> io::Result<u64> {
    let since_boot = since_boot()?.as_nanos();
    Ok((since_boot * u128::from(ticks_per_second()) / 1_000_000_000) as u64)
}

/// The clock of field 22 of /proc/PID/stat; it runs while the machine sleeps.
fn since_boot() -> io::Result<Duration> {
    let time = rustix::time::clock_gettime(ClockId::Boottime);
    Duration::try_from(time).map_err(io::Error::other)
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

/// A process that ends between open and read gives ESRCH.
fn gone(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) {
        return io::ErrorKind::NotFound.into();
    }
    error
}
