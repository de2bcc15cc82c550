use std::ptr;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};

/// The usual umask: others may not change a new file.
const ORDINARY_UMASK: Mode = Mode::WGRP.union(Mode::WOTH);

pub(crate) fn shed(in_passing: bool) {
    let inherited = rustix::process::umask(ORDINARY_UMASK);
    rustix::process::umask(inherited | ORDINARY_UMASK);
    if in_passing {
        raise_limits();
        // Lowering the nice value needs privileges. Without them it stays, and is reported.
        let _ = rustix::process::nice(-niceness());
    }
    // Rust's runtime ignores SIGPIPE, and restores the default in children. A starter that ignores SIGHUP (`nohup`)
    // wants the daemon to outlive the terminal.
    for signal in (1..=64).filter(|signal| ![libc::SIGPIPE, libc::SIGHUP].contains(signal)) {
        heed(signal);
    }
    // SAFETY: the set is plain memory, initialised by the first call and only read by the second.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

fn raise_limits() {
    for resource in [Resource::Cpu, Resource::Fsize, Resource::Data, Resource::As, Resource::Nproc] {
        let maximum = rustix::process::getrlimit(resource).maximum;
        // Within the hard limit this cannot fail.
        let _ = rustix::process::setrlimit(resource, Rlimit { current: maximum, maximum });
    }
}

pub(crate) fn let_children_be_waited_for() {
    heed(libc::SIGCHLD);
}

/// In a child, before its program starts: restores the default action of SIGHUP, whatever the daemon does with it.
///
/// Only calls that are allowed between fork and exec.
pub(super) fn heed_hangup() {
    heed(libc::SIGHUP);
}

/// Restores the default action of a signal that is ignored or blocked, in this thread and those that it starts.
pub(super) fn heed_from_here(signal: libc::c_int) {
    heed(signal);
    // SAFETY: the set is plain memory, initialised by the first call.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
    }
}

/// Restores the default action of an ignored signal. Signals that do not exist or may not be changed give errors that
/// do not matter.
fn heed(signal: libc::c_int) {
    // SAFETY: the structure is plain memory of the right form that outlives the calls, and the action is the system's own.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let known = libc::sigaction(signal, ptr::null(), &raw mut action) == 0;
        if known && action.sa_sigaction == libc::SIG_IGN {
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}

pub(crate) fn niceness() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or(0)
}
