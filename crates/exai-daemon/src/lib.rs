//! The daemon: hosts every server once and serves every client.
//!
//! # Theory of operation
//!
//! [`serve()`] takes the instance lock, builds and binds everything, says that it is ready, and runs the hub until the
//! daemon is asked to stop. One thread does the routing: to read a client, to find the way and to write to a server are
//! steps of one thread, because to hand a message from thread to thread costs more than to route it. Calls that may block
//! (starting programs, disks, the process table) are made on other threads.
//!
//! The folders are rooms with an order; a file imports from its own room and from those below it:
//!
//! - `serve` knows everything else.
//! - `upkeep` keeps the daemon alive and findable: the self-check, and the watch over the start.
//! - `front` is where clients come in: sockets, access control, then the link (shims and the command line), WebSocket or
//!   Streamable HTTP.
//! - `core` is the hub. It owns the router, the clients and the instances. Everything that can happen arrives in its
//!   `Inboxes` as an event; it carries out the router's effects and never waits.
//! - `upstream` starts servers and speaks with them; each kind of server implements `Upstream`.
//! - `observe` knows what the daemon and its processes do, and makes the documents that say it.
//! - `client` is what a client says and is told, below the hub: one budget for unfinished input, bounded queues for output,
//!   and the HTTP sessions. [`exai_supervisor::turns`] keeps a connection that talks without end from filling the hub.
//! - `state` holds the files of the state directory.
//! - `limits` holds every bound.

mod client;
mod core;
mod front;
mod limits;
mod observe;
mod serve;
mod state;
mod upkeep;
mod upstream;
mod websocket_key;

pub use observe::facts::BUILTIN_NAME;
pub use observe::findings::RAISE_LIMITS;
pub use observe::status::listed;
pub use observe::{port_owner, redacted_command};
pub use serve::{Options, ServeError, serve};
pub use state::record::last_daemon;
pub use state::token::rotate_token;

#[doc(hidden)]
pub use client::input_budget;
#[doc(hidden)]
pub use front::{frame, upgrade};
