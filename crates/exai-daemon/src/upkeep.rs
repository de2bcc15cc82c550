//! What keeps the daemon alive and findable.

pub(crate) mod self_check;
pub(crate) mod startup_watch;
