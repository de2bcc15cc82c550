//! Starting the daemon by the user's service manager, as a unit of its own: it starts this program there, which comes to a
//! socket of ours, is told what to start, and becomes it. The socket is then the readiness pipe.

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

use super::daemon::{Daemon, Pipe};
use super::local::{self, Connection};
use super::{apart, descriptors};
use crate::detach::{DetachMethod, OUTSIDE_COMMAND, READY_ARGUMENT, ReadyPipe, Started, WAY_ARGUMENT};

/// A manager that works needs a few hundredths of a second.
const MANAGER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one side may wait for words of the other.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_ORDER_BYTES: u64 = 4 * 1024 * 1024;
const MAX_COMPLAINT_BYTES: u64 = 4096;
/// Where the program is.
const PATH: &str = "/usr/bin:/bin:/run/current-system/sw/bin";
const PROGRAM: &str = "systemd-run";

/// In one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    daemon: Daemon,
    /// Of the starter: nothing is opened to others that he keeps from them.
    umask: u32,
}

/// `None` where the daemon needs no manager, since it would be bound to nobody, or where there is none.
pub(super) fn start(daemon: Daemon, deadline: Instant) -> io::Result<Option<Started>> {
    let Some(runtime) = reachable(&daemon.env) else { return Ok(None) };
    // Such a name leads to another program there.
    if daemon.exe.starts_with("/proc") || !apart::would_be_bound() {
        return Ok(None);
    }
    // Half of the time, so that it can still be started in the other way and heard that it is ready.
    let now = Instant::now();
    let deadline = now + (deadline.saturating_duration_since(now) / 2).min(MANAGER_TIMEOUT);
    let nonce = nonce();
    // Nobody else starts a daemon here meanwhile: what is there was left by starters that were killed.
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
    Ok(Some(Started { pid, ready: ReadyPipe(Pipe::new(stream.into())) }))
}

/// The runtime directory in which the manager of this account listens, if there is one.
fn reachable(env: &[(OsString, OsString)]) -> Option<PathBuf> {
    let named = crate::account::find_variable(env, "XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = || PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
    let runtime = named.filter(|path| path.is_absolute()).unwrap_or_else(usual);
    crate::belonging::file_is_ours(&runtime.join("systemd/private")).unwrap_or(false).then_some(runtime)
}

/// Sixteen digits that nobody can guess.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// That of this process. Asked for by umask(2) it would be another for a moment, in all threads.
fn umask() -> io::Result<u32> {
    let status = fs::read_to_string("/proc/self/status")?;
    let octal = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    octal
        .and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok())
        .ok_or_else(|| io::Error::other("no umask"))
}

/// Has the manager start this program with `socket`; returns when it runs.
fn ask(runtime: &Path, nonce: &str, daemon: &Daemon, socket: &Path, deadline: Instant) -> io::Result<()> {
    let mut command = Command::new(PROGRAM);
    command.env_clear().envs(daemon.env.iter().map(|(name, value)| (name, value)));
    command.env("PATH", PATH).env("XDG_RUNTIME_DIR", runtime);
    command.args(["--user", "--quiet", "--collect", "--service-type=exec"]);
    command.arg(format!("--unit={}{nonce}", apart::UNIT)).arg("--description=exai daemon");
    // The daemon ends what it has started, and leaves what is meant to stay. A server that takes all memory must not end
    // the others.
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

/// Systemd puts variables of its own into what it executes.
fn literal(word: &OsStr) -> OsString {
    let doubled =
        word.as_bytes().iter().flat_map(|byte| std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'$')));
    OsString::from_vec(doubled.collect())
}

/// Whether a path, a port and a pid mean the same to that process as to this one.
fn is_in_our_world(pid: u32) -> bool {
    ["mnt", "net", "pid", "user"].iter().all(|kind| {
        let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/{kind}")).ok();
        of("self") == of(&pid.to_string())
    })
}

/// Where this program comes to.
struct Listener {
    socket: OwnedFd,
    name: PathBuf,
}

impl Listener {
    /// The first process of this account that comes.
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
        // Somebody may have removed it.
        let _ = crate::private::remove(&self.name);
    }
}

/// Becomes the daemon that whoever listens there describes.
pub(crate) fn outside(socket: &str) -> io::Result<()> {
    let name = local::parse(socket).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("`{socket}` is no address of a socket"))
    })?;
    let stream = Connection::connect(&name, MESSAGE_TIMEOUT)?;
    // What he says is going to be executed.
    if !stream.peer()?.same_user {
        let sentence = "the other end of the socket is another account's";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
    }
    stream.set_read_timeout(Some(MESSAGE_TIMEOUT))?;
    let stream = stream.into_stream();
    let mut order = Vec::new();
    BufReader::new((&stream).take(MAX_ORDER_BYTES)).read_until(b'\n', &mut order)?;
    let Order { daemon: Daemon { exe, args, env, cwd, log }, umask } = serde_json::from_slice(&order)?;
    let own = rustix::process::umask(Mode::from_raw_mode(umask));
    rustix::process::umask(own | Mode::from_raw_mode(umask));
    let log = crate::private::open_append(&log)?;
    let mut command = Command::new(exe);
    command.args(args).args([WAY_ARGUMENT, DetachMethod::Manager.as_str(), READY_ARGUMENT]);
    command.arg(stream.as_raw_fd().to_string());
    command.env_clear().envs(env).current_dir(cwd);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    rustix::io::fcntl_setfd(&stream, FdFlags::empty())?;
    // It returns only where the program cannot be executed.
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
