//! What the daemon keeps in its state directory.

pub(crate) mod about;
pub(crate) mod config_file;
pub(crate) mod discovery;
pub(crate) mod logging;
pub(crate) mod record;
pub(crate) mod store;
pub(crate) mod token;
pub(crate) mod verdicts;
