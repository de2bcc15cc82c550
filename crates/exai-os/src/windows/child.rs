use std::io;
use std::os::windows::io::AsRawHandle as _;

use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, PROCESS_TERMINATE, TerminateProcess,
};

use super::handle::check;
use crate::process::Kill;

/// Handles of Rust's own are not inheritable, so a child gets no more than its stdio, except what
/// another thread makes inheritable at that very moment.
pub(crate) fn prepare(command: &mut tokio::process::Command) {
    command.creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP);
}

pub(crate) fn signal_tree(root_pid: u32, how: Kill) -> io::Result<()> {
    let (Kill::Terminate | Kill::Force) = how;
    let Some(process) = super::process::open(root_pid, PROCESS_TERMINATE)? else { return Ok(()) };
    // SAFETY: an open handle with the right to end its process.
    check(unsafe { TerminateProcess(process.as_raw_handle(), 1) })
}

/// Exited processes are no zombies here; the handle that `child` had is closed with this.
pub(crate) async fn exited(child: &mut tokio::process::Child) -> io::Result<()> {
    child.wait().await.map(drop)
}

/// Pipes of Windows grow by themselves.
pub(crate) fn widen_pipes(_child: &tokio::process::Child) {}

pub(crate) fn raise_descriptor_limit() {}
