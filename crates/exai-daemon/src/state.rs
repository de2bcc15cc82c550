//! What the daemon keeps in its state directory.

pub(crate) mod config_file;
pub(crate) mod daemon_info;
pub(crate) mod discovery;
pub(crate) mod logging;
pub(crate) mod record;
pub(crate) mod store;
pub(crate) mod token;
pub(crate) mod verdicts;
