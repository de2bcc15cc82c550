//! How other processes reach the daemon: the command line joins or starts it, a shim keeps a link to it.
//!
//! - [`DaemonConnector`] joins the daemon, or starts it and joins it, and says what state it is in.
//! - [`link`]: one open link. [`frame`] and the handshake are what it is made of.
//! - [`DaemonRoute`]: how a shim reaches the daemon: by the connector, or by a [`url`] over TCP.
//! - [`shim`]: what an MCP client runs. [`session`], which tracks its requests, is pure and without I/O.
//! - [`mcp_client`]: the MCP client of the command line.
//! - [`stop`]: ending a daemon, and proving that it has ended.
//! - [`Takeover`]: a newer build takes the place of an older daemon.
//! - [`limits`]: every bound of this crate.
//!
//! Plain threads and blocking calls: a shim is two loops, and there are twenty of them on a machine.

mod buffer;
mod circuit_breaker;
mod connect_error;
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
pub mod log_tail;
pub mod mcp_client;
mod peek;
mod retry_pause;
mod route_error;
#[doc(hidden)]
pub mod session;
pub mod shim;
mod start_environment;
pub mod stop;
mod stream;
mod takeover;
pub mod url;
mod url_connector;

pub use connect_error::ConnectError;
pub use daemon_connector::DaemonConnector;
pub use daemon_route::DaemonRoute;
pub use daemon_state::DaemonState;
pub use hello::{hello, hello_for_servers};
pub use link::{Link, LinkError};
pub use route_error::RouteError;
pub use takeover::Takeover;
pub use url_connector::UrlConnector;
