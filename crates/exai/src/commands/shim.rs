//! `exai shim`

use std::collections::BTreeSet;
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
    let wanted = args.server.clone();
    // On a thread of its own, so that the client need not wait for it.
    thread::spawn(move || look_at_configuration(&wanted, report));
    shim::run(daemon_route(args)?, streams::input(), streams::output(), report)?;
    Ok(exit::DONE)
}

/// Reports where the servers are if there are none here, since a client that does not pass `EXAI_HOME` on is served by
/// another daemon; and which servers of several are not configured, since the client sees the others only.
fn look_at_configuration(wanted: &[String], report: impl Fn(&str)) {
    let Ok(home) = Home::locate() else { return };
    let Ok(config) = exai_config::load(&home) else { return };
    if let Some(sentence) = other_daemons::tell(&home, config.servers.len()) {
        report(&sentence);
    }
    let is_known = |name: &str| config.servers.get(name).is_some() || name == exai_daemon::BUILTIN_NAME;
    let unknown: Vec<&str> = wanted.iter().map(String::as_str).filter(|name| !is_known(name)).collect();
    // If none is known, each answer says so.
    if unknown.len() < wanted.len() && !unknown.is_empty() {
        report(&format!("no server is called {}; the client sees the others", unknown.join(" or ")));
    }
}

fn daemon_route(args: ShimArgs) -> Result<DaemonRoute, Error> {
    let Some(url) = args.url else {
        let mut servers = args.server;
        let mut seen = BTreeSet::new();
        servers.retain(|name| seen.insert(name.clone()));
        let hello = exai_client::hello_for_servers(Role::Shim, servers);
        let hello = Hello { label: args.client, ..hello };
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
