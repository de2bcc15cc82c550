//! The EXAI tools behind a daemon, with endpoints that are played and one that is real.

mod asking;
#[cfg(unix)]
mod clink;
mod ending;
mod files;
mod malformed;
mod old_wire;
mod once;
mod peers;
mod scene;
