//! How a shim gets to its daemon: through the [`DaemonConnector`] to the private local socket, or by a URL over TCP.
//! Everything behind that is the same for both.

use std::time::Instant;

use crate::daemon_connector::DaemonConnector;
use crate::link::{Link, LinkHalves};
use crate::route_error::RouteError;
use crate::url_connector::UrlConnector;

/// See the module.
#[derive(Debug, Clone)]
pub enum DaemonRoute {
    /// The local socket.
    Local(DaemonConnector),
    /// A URL.
    Url(UrlConnector),
}

impl DaemonRoute {
    /// Joins the daemon, and starts it when none lives.
    pub(crate) fn connect_or_start(&self, deadline: Instant) -> Result<LinkHalves, RouteError> {
        match self {
            DaemonRoute::Local(connector) => Ok(connector.connect_or_start(deadline)?.into_halves()),
            DaemonRoute::Url(connector) => connector.connect_or_start(deadline),
        }
    }

    /// The same when a client has just come: an older daemon makes room.
    pub(crate) fn arrive(&self, deadline: Instant) -> Result<LinkHalves, RouteError> {
        match self {
            DaemonRoute::Local(connector) => Ok(connector.arrive(deadline)?.0.into_halves()),
            // The one who starts it would be the command line's own connector.
            DaemonRoute::Url(connector) => connector.connect_or_start(deadline),
        }
    }

    /// Joins the daemon if it answers right now.
    pub(crate) fn try_connect(&self) -> Option<LinkHalves> {
        match self {
            DaemonRoute::Local(connector) => connector.try_connect().map(Link::into_halves),
            DaemonRoute::Url(connector) => connector.try_connect(),
        }
    }
}
