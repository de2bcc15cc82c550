//! The system's ways to ask a program to end.

use crate::sys;

/// Waits until this process is asked to end: SIGTERM or SIGINT on Unix (SIGHUP is for terminals, which a
/// daemon has none of); Ctrl-C, Ctrl-Break, the closing of the console, log-off or shutdown on Windows.
/// Needs a tokio runtime with I/O.
pub async fn shutdown() {
    sys::signal::shutdown().await;
}
