//! Starting the daemon so that it outlives its starter and keeps nothing of it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::sys;

/// The argument before the token that [`ready_writer`] takes.
pub const READY_ARGUMENT: &str = "--ready";

/// A daemon that was started, and the pipe on which it says how that went.
#[derive(Debug)]
pub struct Started {
    /// Its process id.
    pub pid: u32,
    /// Its first words.
    pub ready: ReadyPipe,
}

/// The starter's end of the readiness pipe. It ends when the daemon closes its end or dies.
#[derive(Debug)]
pub struct ReadyPipe(pub(crate) sys::detach::Pipe);

impl ReadyPipe {
    /// Everything the daemon writes until it closes the pipe. Nothing at all means that it died before
    /// it could say why: look at its log. `TimedOut` when the pipe was still open at `deadline`.
    pub fn read_to_end_until(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.0.read_until(&mut chunk, deadline)? {
                0 => return Ok(message),
                count => message.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

impl io::Read for ReadyPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Starts `exe` with `args` and `--ready TOKEN` in a session of its own, with exactly the environment
/// `env`, in `cwd`, stdin and the other descriptors closed, stdout and stderr appended to `log`.
///
/// On Unix the daemon stays our child: a thread reaps it, so that it leaves no zombie. On Windows it
/// leaves the job of its starter; where that is forbidden this fails with `PermissionDenied` rather
/// than start a daemon that dies with a terminal.
pub fn spawn(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    log: &Path,
) -> io::Result<Started> {
    sys::detach::spawn(exe, args, env, cwd, log)
}

/// In the daemon: the end of the readiness pipe that `token` names, closed when the file is dropped and
/// not inherited by children. A token works once, and only for what [`spawn`] handed over.
pub fn ready_writer(token: &str) -> io::Result<File> {
    sys::detach::ready_writer(token)
}

/// Leaves the starter's session, for `serve` runs that somebody else put into the background. Does
/// nothing where this process leads a session already, or leads its process group (Windows: always).
pub fn new_session_now() {
    sys::detach::new_session_now();
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
