use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream as BlockingStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio as Set;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::wire;
use crate::descent_tag::DescentTag;
use crate::process::Identity;
use crate::tree::{KillScope, Launch, RootExit, Stdio};
use crate::tree_guard::CONTROL_ARGUMENT;

/// How long a guard may take to read its order and start the root.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// The guard's own time to end the tree, and a little more.
const END_TIMEOUT: Duration = Duration::from_secs(6);
/// How long the guard may take to exit once it has said its last word.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

pub use tokio::process::{ChildStderr as ErrorOutput, ChildStdin as Input, ChildStdout as Output};

#[derive(Debug)]
pub(crate) struct Tree {
    /// Dropping this value does not end the guard: without its guard the tree would have no owner.
    guard_child: Child,
    guard: Identity,
    root: Identity,
    kill_scope: KillScope,
    descent_tag: DescentTag,
    control: UnixStream,
    /// What the guard said and was not read yet.
    heard: Vec<u8>,
    exit: Option<RootExit>,
    /// The processes that the guard reported as left at the end.
    left: Option<Vec<u32>>,
}

/// Here the descent from the guard tells the members.
#[derive(Clone, Debug)]
pub(crate) struct Roster;

impl Roster {
    #[expect(clippy::unused_self, reason = "its twin has a list")]
    pub(crate) fn pids(&self) -> Option<Vec<u32>> {
        None
    }
}

pub(crate) fn own_program() -> io::Result<PathBuf> {
    // This link leads to the very file that runs, even if another file has its name by now.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}

#[cfg(target_os = "linux")]
pub(crate) fn keep_hold() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_hold() -> io::Result<()> {
    Ok(())
}

pub(crate) fn start(
    launch: &Launch,
    known: impl FnOnce(Option<&Identity>, &Identity),
) -> io::Result<(Tree, Stdio)> {
    let (mut ours, theirs) = BlockingStream::pair()?;
    let token = theirs.as_raw_fd();
    let guard = &launch.guard;
    let mut command = Command::new(&guard.program);
    command.arg0("exai").args(&guard.args).arg(CONTROL_ARGUMENT).arg(token.to_string());
    command.env_clear().envs(guard.env.iter().map(|(name, value)| (name, value)));
    command.current_dir("/").stdin(Set::piped()).stdout(Set::piped()).stderr(Set::piped());
    super::child::prepare(&mut command);
    let hand_over = move || {
        // SAFETY: the parent keeps the descriptor open until spawn has returned.
        let kept = unsafe { BorrowedFd::borrow_raw(token) };
        Ok(rustix::io::fcntl_setfd(kept, FdFlags::empty())?)
    };
    // SAFETY: the closure makes one system call: it neither allocates nor takes a lock.
    unsafe { command.pre_exec(hand_over) };
    let mut child = command.spawn().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("its guard {} cannot be started: {error}", guard.program.display()),
        )
    })?;
    drop(theirs);
    super::child::widen_pipes(&child);
    let no_pipe = "BUG: a standard stream was asked to be a pipe and is none";
    let stdio = Stdio {
        stdin: child.stdin.take().expect(no_pipe),
        stdout: child.stdout.take().expect(no_pipe),
        stderr: child.stderr.take().expect(no_pipe),
    };
    ours.set_read_timeout(Some(START_TIMEOUT))?;
    ours.set_write_timeout(Some(START_TIMEOUT))?;
    let mut heard = Vec::new();
    let first = ours.write_all(&wire::write(launch)).and_then(|()| first_line(&mut ours, &mut heard));
    let first = first.map_err(|error| io::Error::new(error.kind(), format!("its guard ended: {error}")))?;
    let root = parse_root(&first)?;
    // The guard is not reaped, so no other process has its number even if it has been killed.
    let guard = super::process::identify_even_dead(child.id().unwrap_or(0))?
        .ok_or_else(|| io::Error::other("its guard ended"))?;
    // The root waits for our message.
    let root = super::process::identify_even_dead(root)?
        .filter(|root| root.start >= guard.start)
        .ok_or_else(|| io::Error::other("its root ended before its program ran"))?;
    known(Some(&guard), &root);
    let told = ours.write_all(b"g").and_then(|()| first_line(&mut ours, &mut heard));
    // If the guard was killed just now, there is a tree nevertheless. It is ended like any other tree that has lost
    // its guard.
    if let Ok(line) = told {
        parse_started(&line)?;
    }
    ours.set_nonblocking(true)?;
    let control = UnixStream::from_std(ours)?;
    let tree = Tree {
        guard_child: child,
        guard,
        root,
        kill_scope: launch.kill_scope,
        descent_tag: launch.descent_tag,
        control,
        heard,
        exit: None,
        left: None,
    };
    Ok((tree, stdio))
}

/// `signal: 9 (SIGKILL)`.
pub(crate) fn describe(signal: i32) -> String {
    std::process::ExitStatus::from_raw(signal).to_string()
}

/// Reads until a line is complete; what came after it stays in `heard`.
fn first_line(control: &mut BlockingStream, heard: &mut Vec<u8>) -> io::Result<String> {
    loop {
        if let Some(line) = take_line(heard) {
            return Ok(line);
        }
        let mut chunk = [0; 256];
        match control.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => heard.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn take_line(heard: &mut Vec<u8>) -> Option<String> {
    let end = heard.iter().position(|byte| *byte == b'\n')?;
    let line: Vec<u8> = heard.drain(..=end).collect();
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn parse_root(line: &str) -> io::Result<u32> {
    let root = line.strip_prefix("root ").and_then(|pid| pid.parse().ok());
    root.ok_or_else(|| failure(line))
}

fn parse_started(line: &str) -> io::Result<()> {
    if line == "started" { Ok(()) } else { Err(failure(line)) }
}

/// The report of a guard that could not start the root.
fn failure(line: &str) -> io::Error {
    match line.strip_prefix("failed ").and_then(|errno| errno.parse().ok()) {
        Some(errno) if errno > 0 => io::Error::from_raw_os_error(errno),
        _ => io::Error::other(format!("its guard said `{line}`")),
    }
}

pub(crate) fn reap(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
    }
}

impl Tree {
    pub(crate) fn root(&self) -> &Identity {
        &self.root
    }

    #[expect(clippy::unnecessary_wraps, reason = "its twin has none")]
    pub(crate) fn guard(&self) -> Option<&Identity> {
        Some(&self.guard)
    }

    #[expect(clippy::unused_self, reason = "its twin has one")]
    pub(crate) fn roster(&self) -> Roster {
        Roster
    }

    pub(crate) fn terminate(&mut self) -> bool {
        self.tell(b't');
        true
    }

    pub(crate) fn kill(&mut self) {
        // The guard may have been stopped. It is our child and not reaped, so no other process has its number.
        if let Some(pid) = self.guard_child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = rustix::process::kill_process(pid, Signal::CONT);
        }
        self.tell(b'k');
    }

    /// One byte always has room; a guard that is gone is seen where it is read from.
    fn tell(&mut self, byte: u8) {
        // Not by tokio's write, which fails until its reactor has seen this socket once.
        let _ = rustix::net::send(&self.control, &[byte], rustix::net::SendFlags::NOSIGNAL);
    }

    pub(crate) async fn exited(&mut self) -> RootExit {
        loop {
            if let Some(exit) = self.exit {
                return exit;
            }
            if !self.hear().await {
                self.exit = Some(RootExit::Unseen);
            }
        }
    }

    /// Listens to the guard; false when it has hung up. Cancel safe.
    async fn hear(&mut self) -> bool {
        if let Some(line) = take_line(&mut self.heard) {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let numbers: Vec<u32> = rest.split(' ').filter_map(|number| number.parse().ok()).collect();
            let number = numbers.first().map_or(0, |number| number.cast_signed());
            match word {
                "code" => self.exit = Some(RootExit::Code(number)),
                "signal" => self.exit = Some(RootExit::Signal(number)),
                "empty" => self.left = Some(Vec::new()),
                "left" => self.left = Some(numbers),
                // A message of a newer guard.
                _ => {}
            }
            return true;
        }
        if self.control.readable().await.is_err() {
            return false;
        }
        let mut chunk = [0; 256];
        match self.control.try_read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.heard.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    pub(crate) async fn unguarded(&mut self) {
        while self.hear().await {}
    }

    pub(crate) async fn ended(&mut self, members: &[Identity]) -> Vec<u32> {
        let last_word = async { while self.left.is_none() && self.hear().await {} };
        let in_time = timeout(END_TIMEOUT, last_word).await.is_ok();
        if let Some(left) = self.left.take() {
            // The guard ends at once. If it does not, it has nothing left to guard.
            if timeout(EXIT_TIMEOUT, self.guard_child.wait()).await.is_err() {
                let _ = self.guard_child.start_kill();
            }
            return left;
        }
        if !in_time {
            // The guard hangs or was stopped. When it is killed, its orphans become ours.
            let _ = self.guard_child.start_kill();
        }
        let _ = timeout(EXIT_TIMEOUT, self.guard_child.wait()).await;
        let (root, members) = (self.root.clone(), members.to_vec());
        let (kill_scope, descent_tag) = (self.kill_scope, self.descent_tag);
        let ended = tokio::task::spawn_blocking(move || {
            super::orphans::end(&root, kill_scope, &members, descent_tag)
        });
        ended.await.unwrap_or_default()
    }
}
