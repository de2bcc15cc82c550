//! How a shim gets to its daemon: through the [`Door`] to the private local socket, or by a URL over TCP.
//! Everything behind that is the same for both.

use std::time::Instant;

use crate::door::Door;
use crate::link::{Halves, Link};
use crate::url_door::UrlDoor;
use crate::way_error::WayError;

/// See the module.
#[derive(Debug, Clone)]
pub enum Way {
    /// The local socket.
    Local(Door),
    /// A URL.
    Url(UrlDoor),
}

impl Way {
    /// Joins the daemon, and starts it when none lives.
    pub(crate) fn connect_or_start(&self, deadline: Instant) -> Result<Halves, WayError> {
        match self {
            Way::Local(door) => Ok(door.connect_or_start(deadline)?.into_halves()),
            Way::Url(door) => door.connect_or_start(deadline),
        }
    }

    /// The same when a client has just come: an older daemon makes room.
    pub(crate) fn arrive(&self, deadline: Instant) -> Result<Halves, WayError> {
        match self {
            Way::Local(door) => Ok(door.arrive(deadline)?.0.into_halves()),
            // The one who starts it would be the command line's own door.
            Way::Url(door) => door.connect_or_start(deadline),
        }
    }

    /// Joins the daemon if it answers right now.
    pub(crate) fn try_connect(&self) -> Option<Halves> {
        match self {
            Way::Local(door) => door.try_connect().map(Link::into_halves),
            Way::Url(door) => door.try_connect(),
        }
    }
}
