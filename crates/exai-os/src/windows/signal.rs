use tokio::signal::windows;

pub(crate) async fn shutdown() {
    // A handler that could not be installed never fires.
    let (Ok(mut c), Ok(mut pause), Ok(mut close), Ok(mut logoff), Ok(mut end)) = (
        windows::ctrl_c(),
        windows::ctrl_break(),
        windows::ctrl_close(),
        windows::ctrl_logoff(),
        windows::ctrl_shutdown(),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = c.recv() => {}
        _ = pause.recv() => {}
        _ = close.recv() => {}
        _ = logoff.recv() => {}
        _ = end.recv() => {}
    }
}

/// As if it had been killed: nothing is cleaned up.
pub(crate) fn end_this_process() {
    std::process::abort();
}
