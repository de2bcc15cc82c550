//! What a shim knows of its client's conversation: which requests are under way, which wait for a daemon,
//! and what to say when the link is lost. No thread, no socket, no clock of its own.
//!
//! Every request gets exactly one answer. It is in one of three places: *waiting* (it goes to the next daemon, or is
//! answered when its patience ends: `initialize` and lists with what is known, all else -31001), *under way* (written:
//! answered by the daemon, or, when the link is lost, asked again once if that can do no harm, or answered -31002), or
//! answered. A cancelled one is in none and gets none. Only a listen (`subscriptions/listen`) stays open: each daemon gets it
//! anew until it ends.

mod era;
mod in_flight;
mod link_changes;
mod list_cache;
mod listening;
mod listens;
mod lists;
mod messages;
mod methods;
mod offline;
mod progress;
mod queueing;
mod registering;
mod replay;
mod replies;
mod server_requests;
mod state;
mod wait_queue;

pub use state::{LineAction, MessageAction, Session};

pub use crate::limits::{DAEMON_WAIT_TIMEOUT, INITIALIZE_WAIT_TIMEOUT};

#[cfg(test)]
mod tests;
