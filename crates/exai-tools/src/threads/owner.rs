//! The process that makes a call. When it is gone, so is the call.

use std::io;
use std::sync::OnceLock;

use exai_os::process::{self, Identity};

/// The identity of this process.
pub(super) fn this_process() -> io::Result<&'static Identity> {
    static THIS: OnceLock<Identity> = OnceLock::new();
    if let Some(identity) = THIS.get() {
        return Ok(identity);
    }
    let identity = process::current()?;
    Ok(THIS.get_or_init(|| identity))
}

/// Whether the process is this one.
pub(super) fn is_this_process(owner: &Identity) -> bool {
    this_process().is_ok_and(|this| this == owner)
}

/// Whether the process is still there. One that cannot be looked at counts as there.
pub(super) fn is_alive(owner: &Identity) -> bool {
    match process::identify(owner.pid) {
        Ok(found) => found.as_ref() == Some(owner),
        Err(_) => true,
    }
}
