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

/// As if it had been killed: nothing is cleaned up.
pub(crate) fn end_this_process() {
    // Nobody can forbid this.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}
