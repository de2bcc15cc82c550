//! `exai list`

use exai_client::Door;
use exai_proto::documents::{ListedServer, SCHEMA, ServerState, Servers};
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::{ask, door, unexpected};
use crate::cli::JsonArgs;
use crate::error::Error;
use crate::printer::Printer;

/// The server inside the daemon.
const BUILTIN: &str = "exai";

pub(crate) fn run(args: &JsonArgs, printer: &Printer) -> Result<u8, Error> {
    let servers = servers(&door()?)?;
    if args.json {
        printer.json(&servers)?;
        return Ok(exit::DONE);
    }
    let rows: Vec<Vec<String>> = servers.servers.iter().map(row).collect();
    printer.table(&rows)?;
    Ok(exit::DONE)
}

/// The daemon's word where there is one; else what the file says.
fn servers(door: &Door) -> Result<Servers, Error> {
    if let Some(mut link) = door.try_connect() {
        return match ask(&mut link, &ToDaemon::Servers)? {
            FromDaemon::Servers { servers } => Ok(servers),
            _ => Err(unexpected("servers")),
        };
    }
    let config = exai_config::load(door.home())?;
    let mut servers: Vec<ListedServer> = config
        .servers
        .iter()
        .map(|(name, server)| ListedServer {
            name: name.to_owned(),
            transport: server.kind().transport().to_owned(),
            command: server.command.clone(),
            args: server.shown_args(),
            url: server.url.clone(),
            share: server.share.name().to_owned(),
            state: None,
        })
        .collect();
    if config.servers.get(BUILTIN).is_none() {
        servers.push(ListedServer {
            name: BUILTIN.to_owned(),
            transport: "builtin".to_owned(),
            command: None,
            args: Vec::new(),
            url: None,
            share: "shared".to_owned(),
            state: None,
        });
    }
    Ok(Servers { schema: SCHEMA, servers })
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
        ServerState::Failed => "failed",
        ServerState::Stopping => "stopping",
        ServerState::Unknown => "unknown",
    }
}
