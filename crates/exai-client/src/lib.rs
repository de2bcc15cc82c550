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
mod takeover;
pub mod url;
mod url_door;
pub mod way;

pub use door::{Door, DoorError};
pub use link::{Link, LinkError};
pub use takeover::Takeover;
pub use url_door::UrlDoor;
pub use way::{Way, WayError};

use exai_proto::link::{Hello, Role, Versions};

/// The versions of the link that this build speaks.
fn versions() -> Versions {
    exai_os::build::link_versions().map_or(Versions::OURS, |(min, max)| Versions { min, max })
}

/// How this process introduces itself.
pub fn hello(role: Role) -> Hello {
    Hello {
        versions: versions(),
        build: exai_os::build::version().to_owned(),
        role,
        pid: std::process::id(),
        server: None,
        label: None,
    }
}
