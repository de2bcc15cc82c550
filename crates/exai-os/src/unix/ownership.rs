use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

pub(crate) fn file_is_ours(path: &Path) -> io::Result<bool> {
    Ok(std::fs::symlink_metadata(path)?.uid() == rustix::process::geteuid().as_raw())
}

/// The real account, as the kernel's check of a signal has it. (The owner of /proc/PID is root's for
/// processes that may not be inspected.)
#[cfg(target_os = "linux")]
pub(crate) fn process_is_ours(pid: u32) -> io::Result<bool> {
    let status = std::fs::read(format!("/proc/{pid}/status"))?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let real = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u32>().ok());
    match real {
        Some(real) => Ok(real == rustix::process::geteuid().as_raw()),
        None => Err(io::Error::other(format!("/proc/{pid}/status has an unknown form"))),
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn runs_our_program(pid: u32) -> io::Result<bool> {
    let theirs = std::fs::metadata(format!("/proc/{pid}/exe"))?;
    let ours = std::fs::metadata("/proc/self/exe")?;
    Ok((theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()))
}

/// Never run.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process_is_ours(pid: u32) -> io::Result<bool> {
    let raw = libc::c_int::try_from(pid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the structure is plain numbers, for which zero is a value.
    let mut bsd: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_bsdinfo>() as libc::c_int;
    // SAFETY: the buffer is as large as the size given.
    let written = unsafe { libc::proc_pidinfo(raw, libc::PROC_PIDTBSDINFO, 0, (&raw mut bsd).cast(), size) };
    if written != size {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(bsd.pbi_ruid == rustix::process::geteuid().as_raw())
}

/// Never run.
#[cfg(not(target_os = "linux"))]
pub(crate) fn runs_our_program(pid: u32) -> io::Result<bool> {
    let theirs = std::fs::metadata(crate::process::executable(pid)?)?;
    let ours = std::fs::metadata(std::env::current_exe()?)?;
    Ok((theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()))
}
