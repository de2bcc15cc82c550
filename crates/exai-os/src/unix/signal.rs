use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) async fn shutdown() {
    tokio::select! {
        () = one(signal(SignalKind::terminate())) => {}
        () = one(signal(SignalKind::interrupt())) => {}
    }
}

/// A handler that could not be installed never fires.
async fn one(installed: std::io::Result<Signal>) {
    match installed {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

extern "C" fn pass_over(_signal: libc::c_int) {}

pub(crate) fn leave_terminal_to_others() {
    super::inherited_state::heed_from_here(libc::SIGTERM);
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        // SAFETY: the structure is plain memory of the right form; the handler does nothing at all. A handler, and
        // not SIG_IGN: a daemon that this process starts would inherit that.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = pass_over as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Ends this process as if it had been killed: nothing is cleaned up.
pub(crate) fn end_this_process() {
    // This signal cannot be blocked.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}
