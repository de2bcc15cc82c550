//! The door to the daemon, from outside.
//!
//! - [`door`]: join the daemon, or start it and join it; see what is there.
//! - [`link`]: one open link. [`frame`] and the handshake are what it is made of.
//! - [`way`]: how a shim gets there: by the connector, or by a [`url`] over TCP.
//! - [`shim`]: what an MCP client runs; its book of what is under way is pure and without I/O.
//! - [`conversation`]: an MCP client of our own, for the command line.
//! - [`stop`]: ending a daemon, and knowing that it has ended.
//! - [`Takeover`]: a newer build takes the place of an older daemon.
//!
//! Plain threads and blocking calls: a shim is two loops, and there are twenty of them on a machine.

mod buffer;
mod circuit_breaker;
mod connect_error;
pub mod conversation;
mod daemon_connector;
pub mod daemon_record;
mod daemon_route;
mod daemon_start;
mod daemon_state;
pub mod frame;
mod handshake;
mod hello;
pub mod limits;
mod lines;
pub mod link;
mod peek;
mod retry_pause;
mod route_error;
#[doc(hidden)]
pub mod session;
pub mod shim;
mod start_environment;
pub mod stop;
mod stream;
pub mod tail;
mod takeover;
pub mod url;
mod url_connector;

pub use connect_error::ConnectError;
pub use daemon_connector::DaemonConnector;
pub use daemon_route::DaemonRoute;
pub use daemon_state::DaemonState;
pub use hello::hello;
pub use link::{Link, LinkError};
pub use route_error::RouteError;
pub use takeover::Takeover;
pub use url_connector::UrlConnector;
