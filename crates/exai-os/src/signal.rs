//! The system's ways to ask a program to end.

use std::io;
use std::thread;

use crate::sys;

/// Waits until this process is asked to end: SIGTERM or SIGINT on Unix (SIGHUP comes from terminals, and a daemon has
/// none); Ctrl-C, Ctrl-Break, the closing of the console, log-off or shutdown on Windows. Needs a tokio runtime with
/// I/O.
pub async fn shutdown() {
    sys::signal::shutdown().await;
}

/// From here on Ctrl-C, Ctrl-\\ and the end of the terminal (Ctrl-C and Ctrl-Break in a console) do not end this
/// process: they are meant for the program that has started it, which shares the terminal with it. Processes that
/// this one starts do not inherit this. SIGTERM ends this process even if it was started with that signal ignored or
/// blocked.
pub fn leave_terminal_to_others() {
    sys::signal::leave_terminal_to_others();
}

/// Runs `told` on a thread of its own once this process is asked to end. The process then no longer ends by itself.
/// For programs without a runtime.
pub fn when_asked_to_end(told: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(shutdown());
        told();
    })?;
    Ok(())
}
