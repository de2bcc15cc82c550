//! macOS, by libproc. Never run: written from the headers, to be proven on a Mac.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use crate::process::{Identity, Kill, Killed, ProcessInfo};

/// `SZOMB` of sys/proc.h.
const ZOMBIE: u32 = 5;

pub(crate) fn identify(pid: u32) -> io::Result<Option<Identity>> {
    let Some(info) = info(pid).filter(|info| !info.zombie) else { return Ok(None) };
    Ok(Some(Identity { boot: boot_session()?, pid, start: info.start }))
}

/// The identity of a process that may have ended and waits to be reaped.
pub(super) fn identify_even_dead(pid: u32) -> io::Result<Option<Identity>> {
    let Some(info) = info(pid) else { return Ok(None) };
    Ok(Some(Identity { boot: boot_session()?, pid, start: info.start }))
}

fn boot_session() -> io::Result<String> {
    let mut buffer = [0_u8; 64];
    let mut length = buffer.len();
    // SAFETY: the name is a C string; buffer and length describe writable memory of that size.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            buffer.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let text = buffer[..length.min(buffer.len())].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn info(pid: u32) -> Option<ProcessInfo> {
    let raw = libc::c_int::try_from(pid).ok()?;
    // SAFETY: the structure is plain numbers, for which zero is a value.
    let mut bsd: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_bsdinfo>() as libc::c_int;
    // SAFETY: the buffer is as large as the size given.
    let written = unsafe { libc::proc_pidinfo(raw, libc::PROC_PIDTBSDINFO, 0, (&raw mut bsd).cast(), size) };
    if written != size {
        return None;
    }
    let name: Vec<u8> = bsd.pbi_comm.iter().map(|c| *c as u8).take_while(|byte| *byte != 0).collect();
    Some(ProcessInfo {
        pid,
        ppid: bsd.pbi_ppid,
        pgid: bsd.pbi_pgid,
        name: String::from_utf8_lossy(&name).into_owned(),
        start: bsd.pbi_start_tvsec * 1_000_000 + bsd.pbi_start_tvusec,
        rss_bytes: 0,
        zombie: bsd.pbi_status == ZOMBIE,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "its twin must take a snapshot first")]
pub(crate) fn looker() -> io::Result<impl Fn(u32) -> Option<ProcessInfo>> {
    Ok(info)
}

pub(crate) fn snapshot() -> io::Result<Vec<ProcessInfo>> {
    let mut pids = vec![0_i32; 16_384];
    let size = (pids.len() * size_of::<i32>()) as libc::c_int;
    // SAFETY: the buffer is as large as the size given.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    Ok(pids.into_iter().take(count).filter_map(|pid| info(u32::try_from(pid).ok()?)).collect())
}

pub(crate) fn command_line(_pid: u32) -> io::Result<Vec<String>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn executable(pid: u32) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let raw = libc::c_int::try_from(pid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut buffer = vec![0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    // SAFETY: the buffer is as large as the size given.
    let length = unsafe { libc::proc_pidpath(raw, buffer.as_mut_ptr().cast(), buffer.len() as u32) };
    if length <= 0 {
        return Err(io::Error::last_os_error());
    }
    buffer.truncate(length as usize);
    Ok(std::ffi::OsString::from_vec(buffer).into())
}

/// There is no call for it.
pub(crate) fn name_this() {}

pub(crate) fn fail_without_windows() {}

pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).output()
}

/// A child outlives its parent unless something ends both.
pub(crate) fn spawn_apart(command: &mut Command) -> io::Result<Child> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

pub(crate) fn kill_verified(identity: &Identity, how: Kill) -> io::Result<Killed> {
    signal_verified(identity, super::child::signal(how))
}

pub(super) fn signal_verified(identity: &Identity, signal: Signal) -> io::Result<Killed> {
    let raw = i32::try_from(identity.pid).ok().and_then(Pid::from_raw);
    let pid = raw.ok_or(io::ErrorKind::InvalidInput)?;
    match identify(identity.pid)? {
        None => return Ok(Killed::AlreadyGone),
        Some(found) if found != *identity => return Ok(Killed::NotTheSame),
        Some(_) => {}
    }
    match rustix::process::kill_process(pid, signal) {
        Ok(()) => Ok(Killed::Signalled),
        Err(Errno::SRCH) => Ok(Killed::AlreadyGone),
        Err(error) => Err(error.into()),
    }
}

/// kqueue's `NOTE_EXIT` is for a later version; until then this asks every 10 ms.
pub(crate) fn wait_gone(identity: &Identity, deadline: Instant) -> io::Result<bool> {
    loop {
        if identify(identity.pid)?.as_ref() != Some(identity) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        std::thread::sleep(left.min(Duration::from_millis(10)));
    }
}
