//! The door to the daemon, from outside.
//!
//! - [`door`]: join the daemon, or start it and join it; see what is there.
//! - [`link`]: one open link. [`frame`] and the handshake are what it is made of.
//! - [`way`]: how a shim gets there: by the door, or by a [`url`] over TCP.
//! - [`shim`]: what an MCP client runs; its book of what is under way is pure and without I/O.
//! - [`conversation`]: an MCP client of our own, for the command line.
//! - [`stop`]: ending a daemon, and knowing that it has ended.
//! - [`Takeover`]: a newer build takes the place of an older daemon.
//!
//! Plain threads and blocking calls: a shim is two loops, and there are twenty of them on a machine.

mod breaker;
mod buffer;
pub mod conversation;
pub mod daemon_record;
mod daemon_start;
mod daemon_state;
mod door;
mod door_error;
pub mod frame;
mod glance;
mod handshake;
mod hello;
pub mod limits;
mod lines;
pub mod link;
mod pause;
#[doc(hidden)]
pub mod session;
pub mod shim;
mod start_environment;
pub mod stop;
mod stream;
pub mod tail;
mod takeover;
pub mod url;
mod url_door;
mod way;
mod way_error;

pub use daemon_state::Sight;
pub use door::Door;
pub use door_error::DoorError;
pub use hello::hello;
pub use link::{Link, LinkError};
pub use takeover::Takeover;
pub use url_door::UrlDoor;
pub use way::Way;
pub use way_error::WayError;
