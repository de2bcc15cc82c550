//! Waiting for the ends of children, on Linux by signalfd(2).

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

/// Tells when a child may have ended.
pub(super) struct ChildExits(OwnedFd);

impl ChildExits {
    /// SIGCHLD comes as something to read from now on. The children were started before, so that they
    /// do not inherit that it is blocked.
    pub(super) fn watch() -> io::Result<Self> {
        // SAFETY: the set is plain memory, initialised by the first call; the others read it.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(ChildExits(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    /// Waits until a child ends or the daemon says something. Returns whether it said something.
    pub(super) fn or_words(&self, control: &UnixStream) -> io::Result<bool> {
        let mut fds = [PollFd::new(control, PollFlags::IN), PollFd::new(&self.0, PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let words = !fds[0].revents().is_empty();
        self.drain();
        Ok(words)
    }

    fn drain(&self) {
        let mut one = [0_u8; size_of::<libc::signalfd_siginfo>()];
        while rustix::io::read(&self.0, &mut one).is_ok_and(|count| count > 0) {}
    }

    /// Waits for a death, or for `time`.
    pub(super) fn wait(&self, time: Duration) {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let _ = super::descriptors::poll_until(&mut fds, Instant::now() + time);
        self.drain();
    }
}
