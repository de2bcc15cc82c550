use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::io::{FromRawHandle as _, RawHandle};
use std::path::Path;
use std::time::Instant;

use windows_sys::Win32::Foundation::{GetHandleInformation, HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Threading::CREATE_BREAKAWAY_FROM_JOB;

use super::handle::check;
pub(crate) use super::readiness_pipe::ReadinessPipe;
use super::suspended_daemon::{Allowed, is_denied};
use super::{job, outside, spawn};
use crate::daemon_command::DaemonCommand;
use crate::detach::{DetachMethod, Started, Tether};

pub(crate) fn spawn(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    log: &Path,
    deadline: Instant,
) -> io::Result<Started> {
    let daemon = DaemonCommand {
        exe: exe.to_owned(),
        args: args.to_vec(),
        env: env.to_vec(),
        cwd: if spawn::may_be_started_in(cwd) { cwd.to_owned() } else { super::account::system_directory()? },
        log: log.to_owned(),
    };
    if !job::we_are_in_one() {
        // Windows may put the daemon into a job of its own, which belongs to no program.
        return daemon.start(DetachMethod::Alone, 0, Allowed::Harmless)?.ok_or_else(|| {
            io::Error::other("Windows would put the daemon into a job that ends everything in it")
        });
    }
    // Out of every job, since of several around a process only the innermost shows: Claude Desktop's package has a
    // job that ends no process, and the package cannot be updated while a process is in it
    // (<https://github.com/anthropics/claude-code/issues/53247>).
    let (rest, leaving) =
        match daemon.start(DetachMethod::Breakaway, CREATE_BREAKAWAY_FROM_JOB, Allowed::None) {
            Ok(Some(started)) => return Ok(started),
            Ok(None) => (DetachMethod::Breakaway, CREATE_BREAKAWAY_FROM_JOB),
            Err(error) if is_denied(&error) => {
                // A job may let its processes' children go only as long as they do not ask.
                if let Some(started) = daemon.start(DetachMethod::Breakaway, 0, Allowed::None)? {
                    return Ok(started);
                }
                (DetachMethod::Inside, 0)
            }
            Err(error) => return Err(error),
        };
    // Half of the time, so that it can still be heard that it is ready.
    let now = Instant::now();
    let no_wmi = match outside::start(&daemon, now + deadline.saturating_duration_since(now) / 2) {
        Ok(started) => return Ok(started),
        Err(error) => error,
    };
    daemon.start(rest, leaving, Allowed::Harmless)?.ok_or_else(|| {
        let sentence = format!(
            "the daemon would end with the program that starts it: that program's job ends everything in it and does not \
             let the daemon go, and Windows' management service (WMI) did not start it outside: {no_wmi}. Start it from \
             elsewhere, for example `exai start` in the Run dialog (Windows+R)"
        );
        io::Error::new(io::ErrorKind::PermissionDenied, sentence)
    })
}

pub(crate) fn tether() -> Tether {
    match (job::we_are_in_one(), job::ours_kills()) {
        (false, _) => Tether::Free,
        (true, false) => Tether::Within,
        (true, true) => Tether::EndsWithIt,
    }
}

pub(crate) use super::outside::outside;

/// A process that has the older file open keeps writing to it, and it can still be read there.
#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn follow(_before: &File, _next: &File) -> io::Result<()> {
    Ok(())
}

pub(crate) fn ready_writer(token: &str) -> io::Result<File> {
    let refused = || {
        let sentence = format!("`{token}` names no readiness pipe that was handed to this process");
        io::Error::new(io::ErrorKind::InvalidInput, sentence)
    };
    let number: usize = token.parse().ok().filter(|number| *number != 0).ok_or_else(refused)?;
    let raw: RawHandle = std::ptr::with_exposed_provenance_mut(number);
    let mut flags = 0;
    // SAFETY: both calls only look at a number in this process's table, and fail where there is nothing.
    let handed_over = unsafe {
        // Every handle that this process opened itself is not inheritable: one that is was inherited.
        GetHandleInformation(raw, &raw mut flags) != 0
            && flags & HANDLE_FLAG_INHERIT != 0
            && GetFileType(raw) == FILE_TYPE_PIPE
    };
    if !handed_over {
        return Err(refused());
    }
    // SAFETY: as above. Changing the flag is what makes the token work once.
    check(unsafe { SetHandleInformation(raw, HANDLE_FLAG_INHERIT, 0) })?;
    // SAFETY: open, a pipe, and no code in this process owns it: it was inherited, and by the flag that was just
    // cleared it is taken here for the first time.
    Ok(unsafe { File::from_raw_handle(raw) })
}

pub(crate) fn new_session_now() {}
