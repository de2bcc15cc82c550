//! The files of the state directory that the daemon reads and writes, and what it knows of itself.

pub(crate) mod admission;
pub(crate) mod config_file;
pub(crate) mod daemon_info;
pub(crate) mod discovery;
pub(crate) mod holder;
pub(crate) mod last_connections;
pub(crate) mod logging;
pub(crate) mod named_tokens;
pub(crate) mod record;
pub(crate) mod store;
pub(crate) mod token;
pub(crate) mod verdicts;
