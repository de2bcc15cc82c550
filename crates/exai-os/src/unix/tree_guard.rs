use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{BorrowedFd, FromRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::FileType;
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::child_exits::ChildExits;
use super::process;
use super::wire::{self, Order};
use crate::process::ProcessInfo;
use crate::tree::KillScope;

/// How long ending the tree may take.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the guard waits between two looks at a tree that it ends.
const END_INTERVAL: Duration = Duration::from_millis(10);
/// After so many looks a process in the tree starts others faster than they are ended one by one.
const MAX_LOOKS: u32 = 20;

pub(crate) fn run(control: &str) -> io::Result<()> {
    let mut control = take_socket(control)?;
    let order = wire::read(&mut control)?;
    if order.kill_scope == KillScope::Descendants {
        super::tree::keep_hold()?;
    }
    super::process::name_this();
    let started = start(&order, &control);
    // The streams belong to the root. A copy here would keep them open after the root has closed them.
    forget_stdio()?;
    let mut tree = match started {
        Ok(pid) => GuardedTree { root: pid, kill_scope: order.kill_scope, root_ended: false },
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(0);
            return writeln!(control, "failed {number}");
        }
    };
    drop(order);
    // If the daemon has died meanwhile, this write fails, and the end of the socket shows it below.
    let _ = writeln!(control, "started");
    tree.until_told(&mut control)?;
    let left = tree.end(&mut control);
    let _ = match &left[..] {
        [] => writeln!(control, "empty"),
        left => writeln!(control, "left {}", left.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")),
    };
    Ok(())
}

/// The descriptor that the daemon handed over: a socket, inherited on purpose. See [`super::detach::ready_writer`].
fn take_socket(token: &str) -> io::Result<UnixStream> {
    let refused = || {
        let sentence = format!("`{token}` names no control socket that was handed to this process");
        io::Error::new(io::ErrorKind::InvalidInput, sentence)
    };
    let raw: RawFd = token.parse().ok().filter(|fd| *fd > 2).ok_or_else(refused)?;
    // SAFETY: used for the queries below only. A number without a descriptor fails with EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    let handed_over = (|| -> rustix::io::Result<bool> {
        let inherited = !rustix::io::fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC);
        let socket = FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) == FileType::Socket;
        Ok(inherited && socket)
    })();
    if handed_over != Ok(true) {
        return Err(refused());
    }
    rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    // SAFETY: open, a socket, and no code in this process owns it: it was inherited, and by the flag that was just
    // set it is taken here for the first time.
    Ok(unsafe { UnixStream::from_raw_fd(raw) })
}

/// The root exists before its program runs: it reports its identity and waits until that is written down. So no
/// process of a tree ever runs without a record that names it.
fn start(order: &Order, control: &UnixStream) -> io::Result<Pid> {
    let descent_tag = order.descent_tag.number();
    let introduce = {
        // A copy that lives as long as the command, and is closed in the child by exec.
        let control = control.try_clone()?;
        move || {
            super::descent_tag::carry(descent_tag);
            let mut control = &control;
            writeln!(control, "root {}", std::process::id())?;
            let mut word = [0];
            control.read_exact(&mut word)
        }
    };
    let mut command = Command::new(&order.program);
    command.args(&order.args).env_clear().envs(order.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&order.cwd).process_group(0);
    // SAFETY: this process has one thread, so no lock is held by another at the time of the fork.
    unsafe { command.pre_exec(introduce) };
    let child = command.spawn()?;
    // Dropping a child neither ends nor reaps it.
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::Error::other("a child without a pid"))
}

fn forget_stdio() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

struct GuardedTree {
    root: Pid,
    kill_scope: KillScope,
    /// Whether the root has exited. It is reaped last of all: until then no other process gets its number or that of
    /// its group.
    root_ended: bool,
}

impl GuardedTree {
    fn root_pid(&self) -> u32 {
        self.root.as_raw_pid().cast_unsigned()
    }

    /// Reaps what ends until the tree is to be ended.
    fn until_told(&mut self, control: &mut UnixStream) -> io::Result<()> {
        let deaths = ChildExits::watch()?;
        loop {
            self.reap(control);
            let told = deaths.or_words(control)?;
            if !told {
                continue;
            }
            let mut said = [0; 16];
            match control.read(&mut said) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    for byte in &said[..count] {
                        match byte {
                            b't' => self.signal(Signal::TERM),
                            _ => return Ok(()),
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(()),
            }
        }
    }

    /// Signals the root's group and orphans. No number can belong to another process: these are our children, and
    /// only this process reaps them.
    fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process_group(self.root, signal);
        if self.kill_scope == KillScope::Descendants {
            for child in children().into_iter().filter(|child| *child != self.root) {
                let _ = rustix::process::kill_process(child, signal);
            }
        }
    }

    /// Reaps children that have ended, except for the root, whose end is only noted and reported.
    fn reap(&mut self, control: &mut UnixStream) {
        for child in children().into_iter().filter(|child| *child != self.root) {
            let _ = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::NOHANG);
        }
        if self.root_ended {
            return;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if let Ok(Some(status)) = rustix::process::waitid(WaitId::Pid(self.root), options) {
            self.root_ended = true;
            let _ = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => writeln!(control, "code {code}"),
                (None, signal) => writeln!(control, "signal {}", signal.unwrap_or(0)),
            };
        }
    }

    /// Ends the tree and returns what is left of it.
    fn end(&mut self, control: &mut UnixStream) -> Vec<u32> {
        let deadline = Instant::now() + END_TIMEOUT;
        let deaths = ChildExits::watch();
        for look in 0_u32.. {
            if look >= MAX_LOOKS && self.kill_scope == KillScope::Descendants {
                freeze();
            }
            self.signal(Signal::KILL);
            self.reap(control);
            if self.is_empty() || Instant::now() >= deadline {
                break;
            }
            if let Ok(deaths) = &deaths {
                deaths.wait(END_INTERVAL);
            }
        }
        let left = self.living().unwrap_or_else(|| vec![self.root_pid()]);
        if self.root_ended {
            let _ = rustix::process::waitpid(Some(self.root), rustix::process::WaitOptions::NOHANG);
        }
        left
    }

    fn is_empty(&self) -> bool {
        // An orphan is our child by the time that the end of its parent can be seen.
        let none_waits = || children().into_iter().all(|child| child == self.root);
        self.root_ended
            && match self.kill_scope {
                KillScope::Descendants => none_waits(),
                KillScope::Group => self.living().is_some_and(|living| living.is_empty()),
            }
    }

    /// `None` when the system does not tell.
    fn living(&self) -> Option<Vec<u32>> {
        let all = process::snapshot().ok()?;
        let left = match self.kill_scope {
            KillScope::Descendants => crate::process::descendants(&all, std::process::id()),
            KillScope::Group => {
                all.iter().filter(|process| process.pgid == self.root_pid()).cloned().collect()
            }
        };
        Some(left.into_iter().filter(|process| !process.zombie).map(|process| process.pid).collect())
    }
}

/// Stops all processes below this one, so that none can start another, until a look finds no new one.
fn freeze() {
    let mut stopped: Vec<(u32, u64)> = Vec::new();
    for _ in 0..MAX_LOOKS {
        let all = process::snapshot().unwrap_or_default();
        let is_new = |found: &ProcessInfo| !found.zombie && !stopped.contains(&(found.pid, found.start));
        let found: Vec<ProcessInfo> =
            crate::process::descendants(&all, std::process::id()).into_iter().filter(is_new).collect();
        if found.is_empty() {
            break;
        }
        for process in found {
            stopped.push((process.pid, process.start));
            signal_exactly(&process, Signal::STOP);
        }
    }
    let all = process::snapshot().unwrap_or_default();
    for process in crate::process::descendants(&all, std::process::id()) {
        signal_exactly(&process, Signal::KILL);
    }
}

fn signal_exactly(process: &ProcessInfo, signal: Signal) {
    if let Ok(Some(found)) = process::identify(process.pid) {
        let _ = process::signal_verified(&process.identity(&found.boot), signal);
    }
}

/// Our children, the dead among them included.
#[cfg(target_os = "linux")]
fn children() -> Vec<Pid> {
    let me = std::process::id();
    // This process has one thread, so its list is the whole list.
    if let Ok(text) = std::fs::read_to_string(format!("/proc/self/task/{me}/children")) {
        return text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect();
    }
    let all = process::snapshot().unwrap_or_default();
    let ours = all.into_iter().filter(|process| process.ppid == me);
    ours.filter_map(|process| Pid::from_raw(process.pid.cast_signed())).collect()
}

/// Without a subreaper the root is the only child that there ever is.
#[cfg(not(target_os = "linux"))]
fn children() -> Vec<Pid> {
    Vec::new()
}
