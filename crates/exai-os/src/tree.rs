//! A contained process tree: started, told to end, ended by force, and proven to be gone.
//!
//! On Unix a *guard* stands between the daemon and the tree. This small process starts the root, ends everything that
//! descends from it when it is told to or when the daemon dies (it sees the end of a socket), and reports when
//! nothing is left. On Linux the guard is a subreaper: a process that leaves its parent, its group or its session
//! stays below the guard. The guard keeps no copy of the tree's stdio.
//!
//! macOS has no subreapers. There the tree is the root's process group and the descendants of the root at the time
//! when it is ended; a process that left both is not found (never run).
//!
//! Windows needs no guard: the root is born in a job that no member can leave, and that ends with this process, which
//! holds it. A process that a member lets another service start (WMI, the Task Scheduler, a COM server) is not in the
//! job.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::descent_tag::DescentTag;
use crate::process::Identity;
use crate::sys;

/// What to start.
#[derive(Clone)]
pub struct Launch {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// What ends when the tree is ended.
    pub kill_scope: KillScope,
    /// What tells its processes from all others (Linux).
    pub descent_tag: DescentTag,
    /// The guard. Not used on Windows.
    pub guard: Guard,
}

/// How a guard is started.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The program that runs [`crate::tree_guard::run`].
    pub program: PathBuf,
    /// Its first arguments; `--control N` follows them.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
}

pub use crate::kill_scope::KillScope;
pub use sys::tree::{ErrorOutput, Input, Output};

/// The root's standard streams.
#[derive(Debug)]
pub struct Stdio {
    /// Written by us.
    pub stdin: Input,
    /// Read by us.
    pub stdout: Output,
    /// Read by us.
    pub stderr: ErrorOutput,
}

/// How the root ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootExit {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The guard is gone, and only the guard could see how the root ended.
    Unseen,
}

impl fmt::Display for RootExit {
    /// Reads after "the server".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootExit::Code(code @ ..0) => {
                let number = code.cast_unsigned();
                write!(f, "exited with status {number:#010X}{}", meaning(number))
            }
            RootExit::Code(code) => write!(f, "exited with status {code}"),
            RootExit::Signal(signal) => write!(f, "was ended by {}", sys::tree::describe(*signal)),
            RootExit::Unseen => f.write_str("ended unseen"),
        }
    }
}

/// The meaning of the common exit statuses that Windows itself gives. (On Unix no status is so large.)
fn meaning(status: u32) -> &'static str {
    match status {
        0xC000_0005 => " (access violation)",
        0xC000_0017 => " (out of memory)",
        0xC000_00FD => " (stack overflow)",
        0xC000_0135 => " (a DLL that it needs was not found)",
        0xC000_0139 => " (a DLL lacks a function that it needs)",
        0xC000_013A => " (Ctrl-C, or its console was closed)",
        0xC000_0142 => " (a DLL could not be started)",
        0xC000_0409 => " (it ended itself by a failed check)",
        _ => "",
    }
}

/// A running tree. Dropping it ends everything in it.
#[derive(Debug)]
pub struct Tree(pub(crate) sys::tree::Tree);

/// The members of a tree by the system's own list. It does not keep the tree alive. The default has no list.
#[derive(Clone, Debug, Default)]
pub struct Roster(Option<sys::tree::Roster>);

impl Roster {
    /// The processes, in no particular order; empty once the tree is gone. `None` where the system keeps no such
    /// list: anywhere but on Windows.
    pub fn pids(&self) -> Option<Vec<u32>> {
        self.0.as_ref()?.pids()
    }
}

/// The program that this process runs, as something that can be started again even when its file was
/// replaced or removed meanwhile (Linux).
pub fn own_program() -> io::Result<PathBuf> {
    sys::tree::own_program()
}

/// Starts a tree. Blocks for the time of two forks and execs, 10 s at most; needs a tokio runtime with I/O
/// around it.
///
/// `known` is called with the guard (`None` on Windows) and the root before the root's program runs: what must
/// outlast this process must be written down before `known` returns.
///
/// If the program cannot be started, the error is the one that the system gives.
pub fn start(launch: &Launch, known: impl FnOnce(Option<&Identity>, &Identity)) -> io::Result<(Tree, Stdio)> {
    let (tree, stdio) = sys::tree::start(launch, known)?;
    Ok((Tree(tree), stdio))
}

impl Tree {
    /// The process that was started.
    pub fn root(&self) -> &Identity {
        self.0.root()
    }

    /// The guard; `None` on Windows.
    pub fn guard(&self) -> Option<&Identity> {
        self.0.guard()
    }

    /// The members of the tree.
    pub fn roster(&self) -> Roster {
        Roster(Some(self.0.roster()))
    }

    /// Asks the tree to end: SIGTERM to the root's group and to orphans. Returns whether it was asked, since Windows
    /// has no such request.
    pub fn terminate(&mut self) -> bool {
        self.0.terminate()
    }

    /// Begins to end the tree by force; [`Tree::ended`] tells when that is done.
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Waits until the root has exited, or the guard was lost. Cancel safe; comes back at once when that
    /// was seen already.
    pub async fn exited(&mut self) -> RootExit {
        self.0.exited().await
    }

    /// Waits until the guard is gone although it was not told to go. Cancel safe; never returns on Windows.
    pub async fn unguarded(&mut self) {
        self.0.unguarded().await;
    }

    /// After [`Tree::kill`]: waits until nothing is left, and returns the processes that are left nevertheless. The
    /// guard gives up after 5 s. If the guard is gone, its orphans are children of this process (Linux) and are ended
    /// here: processes with the tree's descent tag, those among `members`, which were seen in the tree before, and
    /// those in the root's group.
    pub async fn ended(&mut self, members: &[Identity]) -> Vec<u32> {
        self.0.ended(members).await
    }
}

/// From here on no descendant of this process gets lost: on Linux orphans become its children instead of those of the
/// system's first process, and on Windows all processes that it starts end with it, but those of
/// [`crate::process::output_apart`].
pub fn keep_hold() -> io::Result<()> {
    sys::tree::keep_hold()
}

/// Whether a process that loses its parent gets another one. On Windows it keeps the number of the dead parent, which
/// then means nothing, or another process.
pub const ORPHANS_ARE_ADOPTED: bool = cfg!(unix);

/// Reaps a child of this process that has ended. Only for adopted children: the code that starts a child reaps it.
/// Does nothing on Windows.
pub fn reap(pid: u32) {
    sys::tree::reap(pid);
}

/// From here on no failure of this process leaves its memory, which holds secrets, in a core file. Trees get the old limit
/// back. Does nothing on Windows.
pub fn refuse_core_files() {
    sys::child::refuse_core_files();
}

/// Raises this process's limit of open descriptors to what it may have, at most 65,536: every client and
/// every server takes several. Trees get the old limit back, since programs using `select` cannot stand a
/// higher one. Windows has no such limit.
pub fn raise_descriptor_limit() {
    sys::child::raise_descriptor_limit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_windows_is_said_as_people_look_it_up() {
        assert_eq!(RootExit::Code(3).to_string(), "exited with status 3");
        let said = RootExit::Code(0xC000_0135_u32.cast_signed()).to_string();
        assert_eq!(said, "exited with status 0xC0000135 (a DLL that it needs was not found)");
        assert_eq!(RootExit::Code(-1).to_string(), "exited with status 0xFFFFFFFF");
    }
}
