//! What a daemon is started as.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What to start, as it is described to the process that starts it in our place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DaemonCommand {
    pub(crate) exe: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: PathBuf,
    pub(crate) log: PathBuf,
}
