//! Linux: see getrlimit(2), prlimit(2).

use std::io;

use rustix::process::{Resource, Rlimit};

/// The soft limit that carries descent tags; `None` where there is no limit.
pub(crate) fn read(pid: u32) -> io::Result<Option<u64>> {
    let pid = pid.cast_signed();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: nothing is set; the answer is written to a struct of the right form that outlives the call.
    let outcome = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut limit) };
    match outcome {
        0 => Ok((limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets the limit for this process and its later children. Sets nothing where the hard limit is lower. Makes two
/// system calls, and neither allocates nor takes a lock.
pub(super) fn carry(number: u64) {
    set(Some(number));
}

pub(crate) fn shed() {
    set(None);
}

fn set(current: Option<u64>) {
    let maximum = rustix::process::getrlimit(Resource::Locks).maximum;
    let _ = rustix::process::setrlimit(Resource::Locks, Rlimit { current: current.or(maximum), maximum });
}
