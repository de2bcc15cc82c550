//! The door to the daemon, from outside.
//!
//! - [`door`]: join the daemon, or start it and join it; see what is there.
//! - [`link`]: one open link. [`frame`] and the handshake are what it is made of.
//! - [`way`]: how a shim gets there: by the door, or by a [`url`] over TCP.
//! - [`shim`]: what an MCP client runs; its book of what is under way is pure and without I/O.
//! - [`conversation`]: an MCP client of our own, for the command line.
//! - [`stop`]: ending a daemon, and knowing that it has ended.
//!
//! Plain threads and blocking calls: a shim is two loops, and there are twenty of them on a machine.

mod breaker;
mod buffer;
pub mod conversation;
pub mod door;
pub mod frame;
mod glance;
mod handshake;
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
pub mod url;
mod url_door;
pub mod way;

pub use door::{Door, DoorError};
pub use link::{Link, LinkError};
pub use url_door::UrlDoor;
pub use way::{Way, WayError};

use exai_proto::link::{Hello, Role, Versions};

/// How this process introduces itself.
pub fn hello(role: Role) -> Hello {
    Hello {
        versions: Versions::OURS,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        role,
        pid: std::process::id(),
        server: None,
        label: None,
    }
}
