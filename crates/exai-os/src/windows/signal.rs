use tokio::signal::windows;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::core::BOOL;

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

/// Whether the event is dealt with. Not what the system offers for this (no handler at all): children would have that.
unsafe extern "system" fn pass_over(event: u32) -> BOOL {
    BOOL::from(matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT))
}

pub(crate) fn leave_terminal_to_others() {
    // SAFETY: the handler is a function of this program, which stays; it only compares a number.
    unsafe { SetConsoleCtrlHandler(Some(pass_over), 1) };
}

/// Ends this process as if it had been killed: nothing is cleaned up.
pub(crate) fn end_this_process() {
    std::process::abort();
}
