//! `exai list`

use exai_client::DaemonConnector;
use exai_proto::documents::{ListedServer, ServerState, Servers};
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::{ask, connector, unexpected};
use crate::cli::JsonArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &JsonArgs, printer: &Printer) -> Result<u8, Error> {
    let servers = servers(&connector()?)?;
    if args.json {
        printer.json(&servers)?;
        return Ok(exit::DONE);
    }
    let rows: Vec<Vec<String>> = servers.servers.iter().map(row).collect();
    printer.table(&rows)?;
    Ok(exit::DONE)
}

/// The list of the daemon where one runs; else the list in the file.
fn servers(connector: &DaemonConnector) -> Result<Servers, Error> {
    if let Some(mut link) = connector.try_connect() {
        return match ask(&mut link, &ToDaemon::Servers { client: None })? {
            FromDaemon::Servers { servers } => Ok(servers),
            _ => Err(unexpected("servers")),
        };
    }
    Ok(exai_daemon::listed(&exai_config::load(connector.home())?))
}

fn row(server: &ListedServer) -> Vec<String> {
    let mut how =
        server.command.iter().chain(&server.args).chain(&server.url).fold(String::new(), |mut how, part| {
            if !how.is_empty() {
                how.push(' ');
            }
            how.push_str(part);
            how
        });
    if let Some(via) = &server.via {
        how.clone_from(via);
    }
    if how.is_empty() {
        how.clone_from(&server.transport);
    }
    let state = server.state.map_or("-", word);
    vec![server.name.clone(), state.to_owned(), server.share.clone(), how]
}

/// A state as one word.
pub(super) fn word(state: ServerState) -> &'static str {
    match state {
        ServerState::Idle => "idle",
        ServerState::Starting => "starting",
        ServerState::Ready => "ready",
        ServerState::Backoff => "backoff",
        ServerState::SignedOut => "signed out",
        ServerState::Failed => "failed",
        ServerState::Stopping => "stopping",
        ServerState::Unknown => "unknown",
    }
}
