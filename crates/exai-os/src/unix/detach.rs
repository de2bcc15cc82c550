use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, FdFlags};

use super::manager;
pub(crate) use super::readiness_pipe::ReadinessPipe;
use crate::daemon_command::DaemonCommand;
use crate::detach::{DetachMethod, READY_ARGUMENT, ReadyPipe, Started, Tether, WAY_ARGUMENT};

pub(crate) fn spawn(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    cwd: &Path,
    log: &Path,
    deadline: Instant,
) -> io::Result<Started> {
    let mut to_log = crate::private::open_append(log)?;
    let daemon = DaemonCommand {
        exe: exe.to_owned(),
        args: args.to_vec(),
        env: env.to_vec(),
        cwd: cwd.to_owned(),
        log: log.to_owned(),
    };
    match manager::start(daemon, deadline) {
        Ok(Some(started)) => return Ok(started),
        Ok(None) => {}
        Err(error) => {
            // The daemon can run here as well. The bonds that it then has are among its findings.
            let _ = writeln!(to_log, "the user's service manager has not started the daemon: {error}");
        }
    }
    let log = to_log;
    let (reader, writer) = pipe()?;
    let (mut born, name) = std::io::pipe()?;
    let token = writer.as_raw_fd();
    let mut command = Command::new(exe);
    command
        .args(args)
        .args([WAY_ARGUMENT, DetachMethod::Session.as_str(), READY_ARGUMENT])
        .arg(token.to_string());
    command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command.current_dir(cwd).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let before_exec = move || {
        // The process in between ends at once: an orphan descends from no client. Clients (Copilot CLI, opencode) end
        // all their descendants when they end. SAFETY: this process has one thread, which goes on in both; the
        // process in between does nothing but end.
        match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 => {}
            // SAFETY: runs nothing of this program any more.
            _ => unsafe { libc::_exit(0) },
        }
        rustix::process::setsid()?;
        let pid = rustix::process::getpid().as_raw_pid().to_ne_bytes();
        rustix::io::write(&name, &pid)?;
        super::descriptors::close_on_exec_from_3();
        // SAFETY: the parent keeps the descriptor open until spawn has returned.
        let kept = unsafe { BorrowedFd::borrow_raw(token) };
        Ok(rustix::io::fcntl_setfd(kept, FdFlags::empty())?)
    };
    // SAFETY: the closure only makes system calls: it neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
    // Fails if the process that should become the daemon could not execute the program.
    let mut between = command.spawn()?;
    drop((command, writer));
    // The process in between has ended. Where deaths of children are ignored there is nothing to reap.
    let _ = between.wait();
    let mut pid = [0; 4];
    born.read_exact(&mut pid)?;
    Ok(Started { pid: u32::from_ne_bytes(pid), ready: ReadyPipe(ReadinessPipe::new(reader)) })
}

pub(crate) fn follow(before: &File, next: &File) -> io::Result<()> {
    let which = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let before = which(rustix::fs::fstat(before)?);
    if rustix::fs::fstat(rustix::stdio::stdout()).is_ok_and(|stat| which(stat) == before) {
        rustix::stdio::dup2_stdout(next)?;
    }
    if rustix::fs::fstat(rustix::stdio::stderr()).is_ok_and(|stat| which(stat) == before) {
        rustix::stdio::dup2_stderr(next)?;
    }
    Ok(())
}

/// Both ends are close-on-exec from birth, so that no child started meanwhile gets one, and above the
/// three descriptors that stdio takes.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = std::io::pipe()?;
    let writer = OwnedFd::from(writer);
    if writer.as_raw_fd() > 2 {
        return Ok((reader.into(), writer));
    }
    Ok((reader.into(), rustix::io::fcntl_dupfd_cloexec(&writer, 3)?))
}

/// There are no jobs here.
pub(crate) fn tether() -> Tether {
    Tether::Free
}

pub(crate) use super::manager::outside;

pub(crate) fn ready_writer(token: &str) -> io::Result<File> {
    let refused = || {
        let sentence = format!("`{token}` names no readiness pipe that was handed to this process");
        io::Error::new(io::ErrorKind::InvalidInput, sentence)
    };
    let raw: RawFd = token.parse().ok().filter(|fd| *fd > 2).ok_or_else(refused)?;
    // SAFETY: used for the queries below only. A number without a descriptor fails with EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    let handed_over = (|| -> Result<bool, Errno> {
        // Every descriptor that this process opened itself is close-on-exec: one that is not was
        // inherited on purpose. Setting the flag below makes the token work once.
        let inherited = !rustix::io::fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC);
        let writable = rustix::fs::fcntl_getfl(fd)?;
        let writable = match FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) {
            FileType::Fifo => writable.contains(OFlags::WRONLY),
            // The pipe of a starter that let the service manager start this process.
            FileType::Socket => writable.contains(OFlags::RDWR),
            _ => false,
        };
        Ok(inherited && writable)
    })();
    if handed_over != Ok(true) {
        return Err(refused());
    }
    rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    // SAFETY: open, a pipe or a socket, and no code in this process owns it: it was inherited, and by the flag that
    // was just set it is taken here for the first time.
    Ok(unsafe { File::from_raw_fd(raw) })
}

pub(crate) fn new_session_now() {
    // Fails exactly when this process leads its group already.
    let _ = rustix::process::setsid();
}
