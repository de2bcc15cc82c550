//! Processes: their identity, and ending exactly the one that is meant.
//!
//! A pid alone is a hint: the kernel gives it to another process once its process is gone. An [`Identity`] is a fact,
//! and the only thing that [`kill_verified`] accepts.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use crate::sys;

/// The identity of a process, for ever: no other process of any boot of this machine has the same three values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The boot it runs in: the kernel's random boot id on Linux, the boot session on macOS. `-` on
    /// Windows, where start times are absolute and distinguish boots by themselves.
    pub boot: String,
    /// Its process id.
    pub pid: u32,
    /// Its start time as the kernel keeps it: clock ticks since boot on Linux, microseconds since 1970
    /// on macOS, 100 ns steps since 1601 on Windows. Compare it; do not compute with it.
    pub start: u64,
}

/// One row of the process table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: u32,
    /// Parent's process id; 0 where there is none. On Windows the parent may be long gone and its pid
    /// reused: compare start times before believing it.
    pub ppid: u32,
    /// Process group; 0 on Windows.
    pub pgid: u32,
    /// Short name: the kernel's `comm` (15 bytes) on Linux, the executable's file name on Windows.
    pub name: String,
    /// Start time, comparable to [`Identity::start`]; 0 on Windows when we may not open the process.
    pub start: u64,
    /// Resident memory in bytes; 0 where it is not known cheaply.
    pub rss_bytes: u64,
    /// Whether it has ended and only waits to be reaped. Then it counts as gone.
    pub zombie: bool,
}

impl ProcessInfo {
    /// The identity of this process, in the boot in which it was seen.
    pub fn identity(&self, boot: &str) -> Identity {
        Identity { boot: boot.to_owned(), pid: self.pid, start: self.start }
    }
}

/// How to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// Ask it (SIGTERM). Windows has no such request; there this is the same as [`Kill::Force`].
    Terminate,
    /// End it (SIGKILL, TerminateProcess).
    Force,
}

/// The result of [`kill_verified`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// It was the process that was meant, and it was signalled.
    Signalled,
    /// No such process lives any more.
    AlreadyGone,
    /// The pid belongs to another process now. Nothing was signalled.
    NotTheSame,
}

/// The identity of this process.
pub fn current() -> io::Result<Identity> {
    identify(std::process::id())?
        .ok_or_else(|| io::Error::other("the process table does not list this process"))
}

/// The identity of the living process with this pid; `None` when there is none or only a zombie.
pub fn identify(pid: u32) -> io::Result<Option<Identity>> {
    sys::process::identify(pid)
}

/// Every process this account may see. Processes that end meanwhile are left out.
/// Never run on macOS.
pub fn snapshot() -> io::Result<Vec<ProcessInfo>> {
    sys::process::snapshot()
}

/// The ancestors of this process, nearest first, as far as they can be seen, without the system's first process. A
/// parent that is younger than its child is another process under a reused number; the list ends there.
pub fn ancestors(pid: u32) -> io::Result<Vec<ProcessInfo>> {
    let mut found = lineage(pid)?;
    if !found.is_empty() {
        found.remove(0);
    }
    Ok(found)
}

/// A process and its ancestors, as in [`ancestors`]. Empty where it cannot be seen.
pub fn lineage(pid: u32) -> io::Result<Vec<ProcessInfo>> {
    let look = sys::process::looker()?;
    let mut child = look(pid);
    let mut found: Vec<ProcessInfo> = child.iter().cloned().collect();
    while let Some(process) = child.take() {
        let parent = look(process.ppid).filter(|parent| parent.start <= process.start && parent.pid > 1);
        // There can be no cycle, but if there is one it must not hang this process.
        if let Some(parent) = parent.filter(|_| found.len() < 64) {
            found.push(parent.clone());
            child = Some(parent);
        }
    }
    Ok(found)
}

/// Everything in `table` that descends from `pid`, parents before their children, without `pid` itself. A child
/// that is older than its parent is no child: its parent's number is used again.
pub fn descendants(table: &[ProcessInfo], pid: u32) -> Vec<ProcessInfo> {
    let started = table.iter().find(|process| process.pid == pid).map_or(0, |process| process.start);
    let mut found: Vec<ProcessInfo> = Vec::new();
    let mut parents = vec![(pid, started)];
    while let Some((parent, since)) = parents.pop() {
        for child in table.iter().filter(|child| child.ppid == parent && child.start >= since) {
            // There can be no cycle, but if there is one it must not hang this process.
            if child.pid != pid && !found.iter().any(|known| known.pid == child.pid) {
                parents.push((child.pid, child.start));
                found.push(child.clone());
            }
        }
    }
    found
}

/// The arguments of a process as it shows them, the program's name first. They may hold secrets: show them only
/// redacted. Bytes that are no UTF-8 are replaced. Empty for a zombie, and for an instant while a program starts.
/// `Unsupported` on macOS.
pub fn command_line(pid: u32) -> io::Result<Vec<String>> {
    sys::process::command_line(pid)
}

/// The file a process executes. On Linux a file that was replaced since keeps its old path, without the
/// kernel's note ` (deleted)`.
pub fn executable(pid: u32) -> io::Result<PathBuf> {
    sys::process::executable(pid)
}

/// Runs a program to its end with an empty stdin, and returns its output. On Windows it gets no window, and no handle
/// that is meant for another program which starts at this moment.
pub fn output(command: &mut Command) -> io::Result<Output> {
    sys::process::output(command)
}

/// The same for a program that goes on when this process is killed, and that reads `input` from its stdin, of 4 KiB at most:
/// on Windows it is in none of the jobs that let it go, and those of [`crate::tree::keep_hold`] do. On Unix the program itself
/// may leave the session of its starter ([`crate::detach::new_session_now`]).
pub fn output_apart(command: &mut Command, input: &[u8]) -> io::Result<Output> {
    if input.len() > MAX_INPUT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than a pipe takes at once"));
    }
    let mut child = sys::process::spawn_apart(command.stdin(Stdio::piped()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that has ended says so by its status.
        let _ = stdin.write_all(input);
    }
    child.wait_with_output()
}

/// What fits into the pipe of every system, so that nobody waits for its reader.
const MAX_INPUT_BYTES: usize = 4096;

/// Ends the process with this identity and no other: a handle is opened first and the identity checked
/// after that, so that the pid cannot change hands in between. (macOS has no such handle; there the
/// check comes immediately before the signal.)
///
/// Refuses this process and pids below 2 with `InvalidInput`.
pub fn kill_verified(identity: &Identity, how: Kill) -> io::Result<Killed> {
    if identity.pid < 2 || identity.pid == std::process::id() {
        let sentence = format!("refusing to end pid {}", identity.pid);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    sys::process::kill_verified(identity, how)
}

/// Gives this process, which must have one thread only, the name `exai` in the process table. A program that was
/// started as `/proc/self/exe`, because its file was removed, is named `exe` otherwise. Linux only.
pub fn name_this() {
    sys::process::name_this();
}

/// Keeps this process and the processes that it starts, which inherit this, from showing a window when they cannot go
/// on: a server that lacks a library would wait for a click on Windows, and its end would not be seen.
pub fn fail_without_windows() {
    sys::process::fail_without_windows();
}

/// The processor time of this thread. Windows counts in steps of 16 ms.
pub fn thread_time() -> std::time::Duration {
    sys::process::thread_time()
}

/// Waits until the process with this identity has ended; `false` when it still lived at `deadline`.
pub fn wait_gone(identity: &Identity, deadline: Instant) -> io::Result<bool> {
    sys::process::wait_gone(identity, deadline)
}

#[cfg(all(test, any(target_os = "linux", windows)))]
mod tests;
