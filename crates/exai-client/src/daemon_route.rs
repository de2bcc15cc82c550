//! How a shim reaches its daemon: through the [`DaemonConnector`] over the private local socket, or over TCP by a
//! URL. From there on both are alike.

use std::time::Instant;

use crate::daemon_connector::DaemonConnector;
use crate::link::{Link, LinkHalves};
use crate::route_error::RouteError;
use crate::url_connector::UrlConnector;

/// How a shim reaches its daemon.
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

    /// Like [`DaemonRoute::connect_or_start`], for a shim whose client has just started it: an older daemon is asked
    /// to make room first.
    pub(crate) fn arrive(&self, deadline: Instant) -> Result<LinkHalves, RouteError> {
        match self {
            DaemonRoute::Local(connector) => Ok(connector.arrive(deadline)?.0.into_halves()),
            // By URL a shim never replaces an older daemon.
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
