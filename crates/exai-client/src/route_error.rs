//! Why a shim has no link to its daemon.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::connect_error::{ConnectError, FailedStart};
use crate::link::LinkError;

/// Why no route leads to the daemon.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// No daemon answers on the local socket, or none could be started.
    #[error(transparent)]
    DaemonConnector(#[from] ConnectError),
    /// Another process has the port.
    #[error("{addr} is held by {holder}, not by the exai daemon{daemon}; the token was not sent")]
    Foreign {
        /// The URL's address.
        addr: SocketAddr,
        /// Which process it is, as far as it is known.
        holder: String,
        /// Where the daemon listens, as words that follow its name; or nothing.
        daemon: String,
    },
    /// The system does not tell whether the daemon listens there.
    #[error("cannot prove that the exai daemon listens on {addr}: {source}; the token was not sent")]
    Unproven {
        /// The URL's address.
        addr: SocketAddr,
        /// What the system refused.
        source: io::Error,
    },
    /// The daemon has another port.
    #[error("the exai daemon does not listen on {addr} but on {listens}")]
    Elsewhere {
        /// The URL's address.
        addr: SocketAddr,
        /// Where it listens.
        listens: SocketAddr,
    },
    /// A daemon lives and listens on no TCP port: it is starting or ending.
    #[error("the exai daemon does not listen on {addr}")]
    Silent {
        /// The URL's address.
        addr: SocketAddr,
    },
    /// The daemon listens there, and there is no link.
    #[error("no link over {addr}: {source}")]
    Link {
        /// The URL's address.
        addr: SocketAddr,
        /// Why.
        source: LinkError,
    },
    /// The token cannot be read.
    #[error("cannot read the token in {}: {source}", path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl RouteError {
    /// Whether a shim that has not met its daemon yet should report this and end instead of trying again. Later no
    /// error is final: a working client must not lose its shim to a passing problem.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            RouteError::Foreign { .. } | RouteError::Unproven { .. } | RouteError::Elsewhere { .. } => true,
            RouteError::DaemonConnector(_)
            | RouteError::Silent { .. }
            | RouteError::Link { .. }
            | RouteError::Token { .. } => false,
        }
    }

    /// Whether a daemon is there and will not serve this build: waiting changes nothing.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, RouteError::DaemonConnector(ConnectError::Refused(_)))
    }

    /// See [`ConnectError::failed_start`].
    pub(crate) fn failed_start(&self) -> Option<FailedStart> {
        match self {
            RouteError::DaemonConnector(error) => error.failed_start(),
            RouteError::Foreign { .. }
            | RouteError::Unproven { .. }
            | RouteError::Elsewhere { .. }
            | RouteError::Silent { .. }
            | RouteError::Link { .. }
            | RouteError::Token { .. } => None,
        }
    }
}
