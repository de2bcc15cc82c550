//! Starting the daemon by the user's service manager, as a unit of its own. The manager starts this program, which
//! connects to a socket of ours, reads what to start, and becomes the daemon. The socket is then the readiness pipe.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::Mode;
use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};

use super::local::{self, Connection};
use super::readiness_pipe::ReadinessPipe;
use super::{apart, descriptors};
use crate::daemon_command::DaemonCommand;
use crate::detach::{DetachMethod, OUTSIDE_COMMAND, READY_ARGUMENT, ReadyPipe, Started, WAY_ARGUMENT};

/// How long the manager may take. A working one needs a few hundredths of a second.
const MANAGER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long each side waits for a message of the other.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_ORDER_BYTES: u64 = 4 * 1024 * 1024;
const MAX_COMPLAINT_BYTES: u64 = 4096;
/// Where the program is.
const PATH: &str = "/usr/bin:/bin:/run/current-system/sw/bin";
const PROGRAM: &str = "systemd-run";

/// In one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    daemon: DaemonCommand,
    /// The umask of the starter, so that no file is more open to others than those of the starter.
    umask: u32,
}

/// Starts the daemon. `None` where the daemon needs no manager, since it would have no bonds, or where there is no
/// manager.
pub(super) fn start(daemon: DaemonCommand, deadline: Instant) -> io::Result<Option<Started>> {
    let Some(runtime) = reachable(&daemon.env) else { return Ok(None) };
    // A path in /proc leads to another program for the manager.
    if daemon.exe.starts_with("/proc") || !apart::would_be_bound() {
        return Ok(None);
    }
    // Half of the time, so that the daemon can still be started in the other way and report that it is ready.
    let now = Instant::now();
    let deadline = now + (deadline.saturating_duration_since(now) / 2).min(MANAGER_TIMEOUT);
    let nonce = nonce();
    // No other process starts a daemon here meanwhile, so these sockets were left by starters that were killed.
    for left in local::sockets_of_starters(&daemon.cwd)? {
        crate::private::remove(&left)?;
    }
    let name = local::fresh(&daemon.cwd, &format!("{}{nonce}", local::STARTER))?;
    let listener = Listener { socket: local::listening(&name)?, name };
    ask(&runtime, &nonce, &daemon, &listener.name, deadline)?;
    let stream = listener.accept(deadline)?;
    let pid =
        stream.peer()?.pid.ok_or_else(|| io::Error::other("what it started cannot be seen from here"))?;
    if !is_in_our_world(pid) {
        return Err(io::Error::other("it starts programs in other namespaces than this one"));
    }
    let mut order = serde_json::to_vec(&Order { daemon, umask: umask()? })?;
    order.push(b'\n');
    let stream = stream.into_stream();
    stream.set_write_timeout(Some(MESSAGE_TIMEOUT))?;
    (&stream).write_all(&order)?;
    Ok(Some(Started { pid, ready: ReadyPipe(ReadinessPipe::new(stream.into())) }))
}

/// The runtime directory in which the manager of this account listens, if there is one.
fn reachable(env: &[(OsString, OsString)]) -> Option<PathBuf> {
    let named = crate::account::find_variable(env, "XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = || PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
    let runtime = named.filter(|path| path.is_absolute()).unwrap_or_else(usual);
    crate::ownership::file_is_ours(&runtime.join("systemd/private")).unwrap_or(false).then_some(runtime)
}

/// Sixteen digits that cannot be guessed.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// The umask of this process. umask(2) can only read it by changing it for a moment, in all threads.
fn umask() -> io::Result<u32> {
    let status = fs::read_to_string("/proc/self/status")?;
    let octal = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    octal
        .and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok())
        .ok_or_else(|| io::Error::other("no umask"))
}

/// Lets the manager start this program with `socket`. Returns when the program runs.
fn ask(
    runtime: &Path,
    nonce: &str,
    daemon: &DaemonCommand,
    socket: &Path,
    deadline: Instant,
) -> io::Result<()> {
    let mut command = Command::new(PROGRAM);
    command.env_clear().envs(daemon.env.iter().map(|(name, value)| (name, value)));
    command.env("PATH", PATH).env("XDG_RUNTIME_DIR", runtime);
    command.args(["--user", "--quiet", "--collect", "--service-type=exec"]);
    command.arg(format!("--unit={}{nonce}", apart::UNIT)).arg("--description=exai daemon");
    // The daemon itself ends the processes that it has started, and leaves those that are meant to stay. A server
    // that takes all memory must not end the others.
    command.args(["--property=KillMode=process", "--property=OOMPolicy=continue", "--"]);
    command.arg(literal(daemon.exe.as_os_str())).arg(OUTSIDE_COMMAND).arg(literal(socket.as_os_str()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{PROGRAM}: {error}")))?;
    if !super::environment::exits_until(&mut child, deadline) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time"));
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(MAX_COMPLAINT_BYTES).read_to_end(&mut said);
    }
    Err(io::Error::other(format!("{PROGRAM}: {status}: {}", String::from_utf8_lossy(&said).trim())))
}

/// Systemd expands variables in the command line that it executes.
fn literal(word: &OsStr) -> OsString {
    let doubled =
        word.as_bytes().iter().flat_map(|byte| std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'$')));
    OsString::from_vec(doubled.collect())
}

/// Whether a path, a port and a pid mean the same for that process as for this one.
fn is_in_our_world(pid: u32) -> bool {
    ["mnt", "net", "pid", "user"].iter().all(|kind| {
        let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/{kind}")).ok();
        of("self") == of(&pid.to_string())
    })
}

/// The socket that this program connects to when the manager starts it.
struct Listener {
    socket: OwnedFd,
    name: PathBuf,
}

impl Listener {
    /// Accepts the first connection of a process of this account.
    fn accept(&self, deadline: Instant) -> io::Result<Connection> {
        loop {
            if !descriptors::poll_until(&mut [PollFd::new(&self.socket, PollFlags::IN)], deadline)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "what it started did not come"));
            }
            let accepted = rustix::net::accept_with(&self.socket, rustix::net::SocketFlags::CLOEXEC)?;
            let stream = Connection::from(UnixStream::from(accepted));
            if stream.peer()?.same_user {
                return Ok(stream);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The socket may have been removed meanwhile.
        let _ = crate::private::remove(&self.name);
    }
}

/// Becomes the daemon that the process listening there describes.
pub(crate) fn outside(socket: &str) -> io::Result<()> {
    let name = local::parse(socket).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{socket}` is no address of a socket"))
    })?;
    let stream = Connection::connect(&name, MESSAGE_TIMEOUT)?;
    // What the peer says will be executed.
    if !stream.peer()?.same_user {
        let sentence = "the other end of the socket is another account's";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
    }
    stream.set_read_timeout(Some(MESSAGE_TIMEOUT))?;
    let stream = stream.into_stream();
    let mut order = Vec::new();
    BufReader::new((&stream).take(MAX_ORDER_BYTES)).read_until(b'\n', &mut order)?;
    let Order { daemon: DaemonCommand { exe, args, env, cwd, log }, umask } = serde_json::from_slice(&order)?;
    let own = rustix::process::umask(Mode::from_raw_mode(umask));
    rustix::process::umask(own | Mode::from_raw_mode(umask));
    let log = crate::private::open_append(&log)?;
    let mut command = Command::new(exe);
    command.args(args).args([WAY_ARGUMENT, DetachMethod::Manager.as_str(), READY_ARGUMENT]);
    command.arg(stream.as_raw_fd().to_string());
    command.env_clear().envs(env).current_dir(cwd);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    rustix::io::fcntl_setfd(&stream, FdFlags::empty())?;
    // This returns only if the program cannot be executed.
    Err(command.exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_what_it_is() {
        assert_eq!(literal(OsStr::new("/a b/$HOME/%h")), "/a b/$$HOME/%h");
    }

    #[test]
    fn this_process_is_in_its_own_world() {
        assert!(is_in_our_world(std::process::id()) && !is_in_our_world(0));
    }
}
