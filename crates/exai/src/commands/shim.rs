//! `exai shim`

use std::thread;

use exai_client::shim::{self, ShimError};
use exai_client::url::{McpUrl, UrlError};
use exai_client::{DaemonConnector, DaemonRoute, RouteError, UrlConnector};
use exai_config::{Home, other_daemons};
use exai_os::streams;
use exai_proto::exit;
use exai_proto::link::{Hello, Role};

use crate::cli::ShimArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: ShimArgs) -> Result<u8, Error> {
    exai_os::signal::leave_terminal_to_others();
    let report = |sentence: &str| Printer::new().warn(sentence);
    // On a thread of its own, so that the client need not wait for it.
    thread::spawn(move || _ = servers_elsewhere().map(|sentence| report(&sentence)));
    shim::run(daemon_route(args)?, streams::input(), streams::output(), report)?;
    Ok(exit::DONE)
}

/// Reports where the servers are if there are none here: a client that does not pass `EXAI_HOME` on is served by
/// another daemon.
fn servers_elsewhere() -> Option<String> {
    let home = Home::locate().ok()?;
    let config = exai_config::load(&home).ok()?;
    other_daemons::tell(&home, config.servers.len())
}

fn daemon_route(args: ShimArgs) -> Result<DaemonRoute, Error> {
    let Some(url) = args.url else {
        let hello = Hello { server: args.server, label: args.client, ..exai_client::hello(Role::Shim) };
        return Ok(DaemonRoute::Local(DaemonConnector::new(Home::locate()?, hello)));
    };
    let url: McpUrl = url.parse()?;
    // The connector only starts a daemon where none runs; it serves no client.
    let connector = DaemonConnector::new(Home::locate()?, exai_client::hello(Role::Command));
    Ok(DaemonRoute::Url(UrlConnector::new(connector, url)))
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Error::usage(format!("--url: {error}"))
    }
}

impl From<ShimError> for Error {
    fn from(error: ShimError) -> Self {
        match error {
            ShimError::Thread(_) => Error::failed(error.to_string()),
            ShimError::NoWay(error) => error.into(),
        }
    }
}

impl From<RouteError> for Error {
    fn from(error: RouteError) -> Self {
        const LOCAL: &str = "without --url the shim takes the private local socket, which needs no port";
        let what = error.to_string();
        match error {
            RouteError::DaemonConnector(error) => error.into(),
            RouteError::Foreign { .. } | RouteError::Unproven { .. } => Error::refused(what).hint(LOCAL),
            RouteError::Elsewhere { listens, .. } => {
                Error::failed(what).hint(format!("the URL is ws://{listens}/mcp, or …/mcp/NAME"))
            }
            RouteError::Silent { .. } | RouteError::Link { .. } => {
                Error::failed(what).hint("`exai status` says what is there")
            }
            RouteError::Token { .. } => Error::failed(what),
        }
    }
}
