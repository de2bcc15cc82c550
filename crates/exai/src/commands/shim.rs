//! `exai shim`

use std::thread;

use exai_client::shim::{self, ShimError};
use exai_client::url::{McpUrl, UrlError};
use exai_client::{Door, UrlDoor, Way, WayError};
use exai_config::{Home, elsewhere};
use exai_os::streams;
use exai_proto::exit;
use exai_proto::link::{Hello, Role};

use crate::cli::ShimArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: ShimArgs) -> Result<u8, Error> {
    exai_os::signal::leave_terminal_to_others();
    let report = |sentence: &str| Printer::new().warn(sentence);
    // The client need not wait for it, and whoever hosts nothing has time.
    thread::spawn(move || _ = servers_elsewhere().map(|sentence| report(&sentence)));
    shim::run(way(args)?, streams::input(), streams::output(), report)?;
    Ok(exit::DONE)
}

/// Where the servers are, when there are none here: a client that hands `EXAI_HOME` not on is served by another daemon.
fn servers_elsewhere() -> Option<String> {
    let home = Home::locate().ok()?;
    let config = exai_config::load(&home).ok()?;
    elsewhere::tell(&home, config.servers.len())
}

fn way(args: ShimArgs) -> Result<Way, Error> {
    let Some(url) = args.url else {
        let hello = Hello { server: args.server, label: args.client, ..exai_client::hello(Role::Shim) };
        return Ok(Way::Local(Door::new(Home::locate()?, hello)));
    };
    let url: McpUrl = url.parse()?;
    // Only to start a daemon where none runs: not the client that is served.
    let door = Door::new(Home::locate()?, exai_client::hello(Role::Command));
    Ok(Way::Url(UrlDoor::new(door, url)))
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

impl From<WayError> for Error {
    fn from(error: WayError) -> Self {
        const LOCAL: &str = "without --url the shim takes the private local socket, which needs no port";
        let what = error.to_string();
        match error {
            WayError::Door(error) => error.into(),
            WayError::Foreign { .. } | WayError::Unproven { .. } => Error::refused(what).hint(LOCAL),
            WayError::Elsewhere { listens, .. } => {
                Error::failed(what).hint(format!("the URL is ws://{listens}/mcp, or …/mcp/NAME"))
            }
            WayError::Silent { .. } | WayError::Link { .. } => {
                Error::failed(what).hint("`exai status` says what is there")
            }
            WayError::Token { .. } => Error::failed(what),
        }
    }
}
