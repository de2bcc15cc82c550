//! Descriptors that a child must not get, and waiting for those that we have.

use std::io;
use std::time::Instant;

use rustix::event::{PollFd, Timespec};
use rustix::io::Errno;

/// Marks every descriptor from 3 on to be closed when the next program starts. They are not closed at
/// once, because the standard library reports a failed start through one of them.
///
/// Only calls that are allowed between fork and exec: no allocation, no lock.
pub(super) fn close_on_exec_from_3() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call takes three numbers and changes a flag of our own descriptors.
        let done = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        if done == 0 {
            return;
        }
    }
    // Kernels before 5.11, and macOS: one by one, as far as descriptors can reach.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    for fd in 3..i32::try_from(limit.unwrap_or(65_536).min(65_536)).unwrap_or(i32::MAX) {
        // SAFETY: changes a flag of a descriptor; a number without one is an error that does not matter.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

pub(crate) fn most() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

pub(crate) fn number(stream: &tokio::net::TcpStream) -> u64 {
    use std::os::fd::AsRawFd as _;
    u64::try_from(stream.as_raw_fd()).unwrap_or_default()
}

/// Waits until one of `fds` is ready; `false` when none was at `deadline`.
pub(super) fn poll_until(fds: &mut [PollFd<'_>], deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match rustix::event::poll(fds, Some(&timeout)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}
