use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::process::{Identity, Kill, Killed, ProcessInfo};

/// The fields of /proc/PID/stat that we use; proc_pid_stat(5) has their numbers.
pub(crate) struct Stat {
    pub(crate) info: ProcessInfo,
    pub(crate) session: u32,
}

pub(crate) fn identify(pid: u32) -> io::Result<Option<Identity>> {
    let Some(stat) = stat(pid)?.filter(|stat| !stat.info.zombie) else { return Ok(None) };
    Ok(Some(Identity { boot: boot_id()?.to_owned(), pid, start: stat.info.start }))
}

/// The identity of a process that may have ended and waits to be reaped.
pub(super) fn identify_even_dead(pid: u32) -> io::Result<Option<Identity>> {
    let Some(stat) = stat(pid)? else { return Ok(None) };
    Ok(Some(Identity { boot: boot_id()?.to_owned(), pid, start: stat.info.start }))
}

fn boot_id() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(known) = BOOT.get() {
        return Ok(known);
    }
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| read.trim().to_owned()))
}

/// `None` when there is no such process.
pub(crate) fn stat(pid: u32) -> io::Result<Option<Stat>> {
    let gone = |error: &io::Error| {
        // A process that ends between open and read gives ESRCH.
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
    };
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(bytes) => match parse(&String::from_utf8_lossy(&bytes)) {
            Some(stat) => Ok(Some(stat)),
            None => Err(io::Error::other(format!("/proc/{pid}/stat has an unknown form"))),
        },
        Err(error) if gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name stands in parentheses and may itself hold parentheses, spaces and line ends: what follows the
/// last `)` is regular.
fn parse(line: &str) -> Option<Stat> {
    let (head, tail) = line.rsplit_once(')')?;
    let (pid, name) = head.split_once(" (")?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    // `fields[0]` is field 3 of the manual page.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    // While a process is being reaped, the kernel prints -1 for what it has no more.
    let id = |field: usize| match *fields.get(field - 3)? {
        "-1" => Some(0),
        digits => digits.parse::<u32>().ok(),
    };
    let info = ProcessInfo {
        pid: pid.parse().ok()?,
        ppid: id(4)?,
        pgid: id(5)?,
        name: name.to_owned(),
        start: number(22)?,
        rss_bytes: number(24)? * rustix::param::page_size() as u64,
        // While other threads live or are ending, only the first thread is a zombie: the process works on, or at
        // least holds its files.
        zombie: matches!(*fields.first()?, "Z" | "X") && number(20)? <= 1,
    };
    Some(Stat { info, session: id(6)? })
}

/// Looks single processes up.
#[expect(clippy::unnecessary_wraps, reason = "its twin must take a snapshot first")]
pub(crate) fn looker() -> io::Result<impl Fn(u32) -> Option<ProcessInfo>> {
    Ok(|pid| stat(pid).ok().flatten().map(|stat| stat.info))
}

pub(crate) fn snapshot() -> io::Result<Vec<ProcessInfo>> {
    Ok(stats()?.into_iter().map(|stat| stat.info).collect())
}

pub(crate) fn stats() -> io::Result<Vec<Stat>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        match pid.map(stat) {
            Some(Ok(Some(stat))) => all.push(stat),
            // An incomplete table would make living processes look gone.
            Some(Err(error)) if is_shortage(&error) => return Err(error),
            // Gone, or of another account and hidden (hidepid), or no process.
            Some(Ok(None) | Err(_)) | None => {}
        }
    }
    Ok(all)
}

/// This process, or the system, has run out of something.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|errno| shortages.contains(&errno))
}

pub(crate) fn command_line(pid: u32) -> io::Result<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline"))?;
    let text = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if text.is_empty() {
        return Ok(Vec::new()); // a zombie or a kernel thread
    }
    Ok(text.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect())
}

pub(crate) fn executable(pid: u32) -> io::Result<PathBuf> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let link = fs::read_link(format!("/proc/{pid}/exe"))?;
    match link.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(path) => Ok(std::ffi::OsString::from_vec(path.to_vec()).into()),
        None => Ok(link),
    }
}

fn pid_of(identity: &Identity) -> io::Result<Pid> {
    checked(identity.pid)
}

fn checked(pid: u32) -> io::Result<Pid> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    raw.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is no pid")))
}

pub(crate) fn fail_without_windows() {}

pub(crate) fn name_this() {
    // The name is only for people, so an error does not matter.
    let _ = rustix::thread::set_name(c"exai");
}

pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).output()
}

/// A child outlives its parent unless something ends both.
pub(crate) fn spawn_apart(command: &mut Command) -> io::Result<Child> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

pub(crate) fn kill_verified(identity: &Identity, how: Kill) -> io::Result<Killed> {
    signal_verified(identity, super::child::signal(how))
}

pub(super) fn signal_verified(identity: &Identity, signal: Signal) -> io::Result<Killed> {
    let pidfd = match rustix::process::pidfd_open(pid_of(identity)?, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(Killed::AlreadyGone),
        Err(error) => return Err(error.into()),
    };
    match identify(identity.pid)? {
        None => return Ok(Killed::AlreadyGone),
        Some(found) if found != *identity => return Ok(Killed::NotTheSame),
        Some(_) => {}
    }
    match rustix::process::pidfd_send_signal(&pidfd, signal) {
        Ok(()) => Ok(Killed::Signalled),
        Err(Errno::SRCH) => Ok(Killed::AlreadyGone),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn wait_gone(identity: &Identity, deadline: Instant) -> io::Result<bool> {
    let pidfd = match rustix::process::pidfd_open(pid_of(identity)?, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    // A first thread that has ended looks like a zombie while other threads still hold the files and locks of the
    // process. The pidfd tells when the last one is gone.
    if identify_even_dead(identity.pid)?.as_ref() != Some(identity) {
        return Ok(true);
    }
    let mut wait = [PollFd::new(&pidfd, PollFlags::IN)];
    super::descriptors::poll_until(&mut wait, deadline)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "42 (a) S (b\n) R 7 42 40 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 1000 3 0";
        let stat = parse(line).unwrap();
        assert_eq!((stat.info.pid, stat.info.ppid, stat.info.pgid, stat.session), (42, 7, 42, 40));
        assert_eq!((stat.info.name.as_str(), stat.info.start, stat.info.zombie), ("a) S (b\n", 12345, false));
        assert!(parse("42 (half").is_none());
        let dead = |threads| line.replace(") R 7", ") Z 7").replace(" 0 1 0 12345", threads);
        assert!(parse(&dead(" 0 1 0 12345")).unwrap().info.zombie);
        assert!(!parse(&dead(" 0 2 0 12345")).unwrap().info.zombie);
    }

    #[test]
    fn who_is_being_reaped_is_dead_and_no_trouble() {
        let line = "27515 (x) X 0 -1 -1 0 -1 4227148 226 0 0 0 0 0 0 0 20 0 0 0 247672 0 0 0 0";
        assert!(parse(line).unwrap().info.zombie);
    }
}
