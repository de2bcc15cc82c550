use rustix::fs::Mode;

pub(crate) fn shed(priority: bool) {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    if priority && niceness() != 0 {
        // Lowering it needs privileges; then it stays, and is told of.
        let _ = rustix::process::nice(-niceness());
    }
    // SAFETY: the structures are plain memory of the right form that outlives the calls, and the actions are the system's
    // own. Signals that do not exist, or may not be changed, are errors without a consequence.
    unsafe {
        for signal in 1..=64 {
            let mut action: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0;
            // Rust's runtime ignores SIGPIPE, and gives its children back what is usual.
            if known && action.sa_sigaction == libc::SIG_IGN && signal != libc::SIGPIPE {
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

pub(crate) fn niceness() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or(0)
}
