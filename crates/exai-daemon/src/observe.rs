//! What the daemon knows of itself and of the processes around it, and the documents that say it.

pub(crate) mod adopted_orphans;
pub(crate) mod counters;
pub(crate) mod facts;
pub(crate) mod findings;
pub(crate) mod monitored_tree;
pub mod port_owner;
pub(crate) mod process_monitor;
pub(crate) mod process_snapshot;
pub mod redacted_command;
pub(crate) mod status;
pub(crate) mod unknown_exai_processes;
