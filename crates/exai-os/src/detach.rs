//! Starting the daemon so that it outlives its starter and keeps nothing of it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::{failpoint, sys};

/// The argument before the token that [`ready_writer`] takes.
pub const READY_ARGUMENT: &str = "--ready";
/// The argument before the [`DetachMethod`] by which a daemon was started.
pub const WAY_ARGUMENT: &str = "--way";
/// The argument before the process id of the starter of a daemon.
pub const STARTER_ARGUMENT: &str = "--starter";
/// The command that [`outside`] is for.
pub const OUTSIDE_COMMAND: &str = "outside";

/// How a daemon got away from its starter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetachMethod {
    /// In a session of its own (Unix).
    Session,
    /// By the user's service manager, as a unit of its own (Linux), since it would have been bound to another program
    /// ([`Bond`]).
    Manager,
    /// The starter is in no job, so there is nothing to leave (Windows).
    Alone,
    /// Out of its starter's job, which lets processes leave (Windows). It may be in another job that ends no process.
    Breakaway,
    /// Started by WMI, whose processes are in no job of the starter's (Windows).
    Wmi,
    /// It could not leave and is in a job that does not end its processes, as far as can be seen (Windows).
    Inside,
}

impl DetachMethod {
    const ALL: [DetachMethod; 6] = [
        DetachMethod::Session,
        DetachMethod::Manager,
        DetachMethod::Alone,
        DetachMethod::Breakaway,
        DetachMethod::Wmi,
        DetachMethod::Inside,
    ];

    /// Its name, as an argument and in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            DetachMethod::Session => "session",
            DetachMethod::Manager => "manager",
            DetachMethod::Alone => "alone",
            DetachMethod::Breakaway => "breakaway",
            DetachMethod::Wmi => "wmi",
            DetachMethod::Inside => "inside",
        }
    }

    /// The way of this name.
    pub fn named(name: &str) -> Option<DetachMethod> {
        DetachMethod::ALL.into_iter().find(|way| way.as_str() == name)
    }
}

/// Whether this process is in a job (Windows), and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tether {
    /// It is in none; elsewhere than on Windows there are none.
    Free,
    /// It is in a job that does not end its processes when it is closed. Of several nested jobs only the innermost
    /// can be asked, and a program that has a handle to the job can still end its processes.
    Within,
    /// The job ends everything in it when its last handle is closed: as a rule with the program that made it.
    EndsWithIt,
}

/// Something by which another program may end this process together with its own processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bond {
    /// It descends from this process of our account, which adopts the orphans of its descendants.
    Adopter {
        /// Its process id.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// It is in this control group, which is not the system's.
    Group {
        /// Its path.
        path: String,
        /// Whether it is a scope or a service of systemd, which ends them as a whole.
        is_unit: bool,
    },
}

/// What binds this process to other programs at present (Linux). Empty elsewhere; on Windows see [`tether`].
pub fn bonds() -> Vec<Bond> {
    sys::apart::bonds()
}

/// The tether of this process. Call it before [`crate::tree::keep_hold`], which puts the process into a job.
pub fn tether() -> Tether {
    match failpoint::reach("daemon.job") {
        Ok(()) => sys::detach::tether(),
        Err(_) => Tether::EndsWithIt,
    }
}

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
pub struct ReadyPipe(pub(crate) sys::detach::ReadinessPipe);

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
/// On Unix the daemon is a child of the system's first process, or of an ancestor of ours that adopts orphans. Where
/// it would be bound to another program ([`bonds`]), the user's service manager starts it, if there is one that does
/// so within 3 s (Linux). On Windows it leaves the job of its starter, by breakaway or by WMI; where neither is
/// possible and that job ends everything in it, this fails with `PermissionDenied` rather than start a daemon that
/// dies with a terminal. A breakaway that leaves the daemon in a job around that of the starter counts as a success
/// for the system; whether the outer job would end the daemon is found out before it runs. Only WMI takes long: up to
/// half of the time to `deadline`.
pub fn spawn(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    log: &Path,
    deadline: Instant,
) -> io::Result<Started> {
    sys::detach::spawn(exe, args, env, cwd, log, deadline)
}

/// Redirects stdout and stderr of this process from the file `before` to `next`, after a log was set aside. Does
/// nothing on Windows, where they stay with the older file.
pub fn follow(before: &File, next: &File) -> io::Result<()> {
    sys::detach::follow(before, next)
}

/// In a process that was started with [`OUTSIDE_COMMAND`] and `pipe`: starts the daemon that the server of that pipe
/// describes, hands the pipe on to it, and returns. On Linux this process becomes the daemon, and the pipe is a
/// socket. The server of the pipe must be of this account. Always an error on macOS.
pub fn outside(pipe: &str) -> io::Result<()> {
    sys::detach::outside(pipe)
}

/// In the daemon: the end of the readiness pipe that `token` names, closed when the file is dropped and
/// not inherited by children. A token works once, and only for what [`spawn`] handed over.
pub fn ready_writer(token: &str) -> io::Result<File> {
    sys::detach::ready_writer(token)
}

/// Leaves the starter's session, for `serve` runs that another program put into the background. Does nothing where
/// this process leads a session already, or leads its process group (Windows: always).
pub fn new_session_now() {
    sys::detach::new_session_now();
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
