//! The daemon: hosts every server once and serves every client.
//!
//! # Theory of operation
//!
//! [`serve`] takes the instance lock, builds and binds everything, says that it is ready, and runs the
//! [`hub`] until somebody asks it to stop. One thread does the routing: reading a client, finding the way,
//! and writing to a server are steps of one thread, because handing a message from thread to thread costs
//! more than routing it. What may block (starting programs, disks, the process list) is done elsewhere.
//!
//! - The [`hub`] owns the router, the clients and the instances. Everything that can happen reaches it as
//!   one [`hub::HubEvent`]; it carries out the router's effects and never waits for anybody.
//! - Clients come in through [`door`] (sockets), [`guard`] (who may), and one of three rooms: [`link`]
//!   (shims and the command line), [`websocket`] and [`http`] (Streamable HTTP). [`socket`] is what the first two
//!   have in common.
//! - [`upgrade`] makes a WebSocket of a request, [`frames`] are what goes over it, and [`body`] is what a POST says; what
//!   is unfinished of all that has one budget, [`intake`]. [`checks`] reads long messages elsewhere.
//! - [`usage`] finds out whose an HTTP session is.
//! - [`exai_supervisor::turns`] keeps a connection that talks without end from filling the hub's inbox.
//! - [`holder`] names who has a port that the daemon wants, [`command_line`] what may be shown of him.
//! - [`hosting`] turns a configured server into a running job; [`running`] is one. [`upstream_http`] speaks
//!   with those that open their own port; [`builtin`] is the server inside.

mod client;
mod core;
mod front;
mod limits;
mod observe;
mod serve;
mod state;
mod upkeep;
mod upstream;

pub use observe::findings::RAISE_LIMITS;
pub use observe::status::listed;
pub use observe::{port_owner, redacted_command};
pub use serve::{Options, ServeError, serve};
pub use state::record::last_daemon;
pub use state::token::rotate_token;

#[doc(hidden)]
pub use client::input_budget;
#[doc(hidden)]
pub use front::{frames, upgrade};
