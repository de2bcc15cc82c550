//! Nobody needs one there: see `apart_macos.rs`.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crate::detach::Started;

#[expect(dead_code, reason = "its twin hands them on")]
pub(super) struct Daemon {
    pub(super) exe: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    pub(super) log: PathBuf,
}

#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(super) fn start(_daemon: Daemon, _deadline: Instant) -> io::Result<Option<Started>> {
    Ok(None)
}

pub(crate) fn outside(_socket: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
