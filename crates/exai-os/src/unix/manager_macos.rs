//! macOS needs no service manager: see `apart_macos.rs`.

use std::io;
use std::time::Instant;

use crate::daemon_command::DaemonCommand;
use crate::detach::Started;

#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(super) fn start(_daemon: DaemonCommand, _deadline: Instant) -> io::Result<Option<Started>> {
    Ok(None)
}

pub(crate) fn outside(_socket: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
