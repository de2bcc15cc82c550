//! `exai clients`: which MCP clients are on this machine, and which of them use exai.

use exai_proto::documents::{ConfiguredClient, ConfiguredClients, SCHEMA};
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_setup::client::{Client, Directories, clients};

use super::{ask, connector, install, unexpected};
use crate::cli::JsonArgs;
use crate::client_config;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &JsonArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let directories = client_config::find_directories()?;
    let connected = match connector.try_connect() {
        Some(mut link) => match ask(&mut link, &ToDaemon::Status)? {
            FromDaemon::Status { status } => {
                status.clients.into_iter().filter_map(|client| client.label).collect()
            }
            _ => return Err(unexpected("status")),
        },
        None => Vec::new(),
    };
    let all: Vec<ConfiguredClient> =
        clients().iter().map(|client| describe(client, &directories, &connected)).collect();
    if args.json {
        printer.json(&ConfiguredClients { schema: SCHEMA, clients: all })?;
        return Ok(exit::DONE);
    }
    let (here, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|client| client.found);
    if here.is_empty() {
        printer.line("no client is found on this machine")?;
    } else {
        printer.table(&here.iter().map(row).collect::<Vec<_>>())?;
    }
    let others: Vec<&str> = others.iter().map(|client| client.id.as_str()).collect();
    printer.faint(&format!("exai also knows: {}", others.join(", ")))?;
    if here.iter().any(|client| !client.configured) {
        printer.faint(
            "`exai install ID` writes exai into one of them, `exai install --all` into all that are here",
        )?;
    }
    Ok(exit::DONE)
}

fn describe(client: &'static Client, directories: &Directories, connected: &[String]) -> ConfiguredClient {
    let (located, found) = client_config::locate_files(client, directories);
    let mut problem = None;
    let mut configured = false;
    for one in located.iter().filter(|one| one.exists) {
        match install::has_entry(client, one) {
            Ok(has_entry) => configured |= has_entry,
            Err(error) => problem = error.lines().map(|(what, _)| what.to_owned()),
        }
    }
    ConfiguredClient {
        id: client.id.to_owned(),
        name: client.display_name.to_owned(),
        found: found || located.iter().any(|one| one.exists),
        files: located.iter().map(|one| one.path.display().to_string()).collect(),
        configured,
        connected: connected.iter().filter(|label| *label == client.id).count() as u64,
        problem,
    }
}

fn row(client: &ConfiguredClient) -> Vec<String> {
    let state = match (client.configured, client.connected, &client.problem) {
        (_, _, Some(problem)) => problem.clone(),
        (false, _, None) => "not configured".to_owned(),
        (true, 0, None) => "configured, not connected now".to_owned(),
        (true, connected, None) => format!("connected ({connected})"),
    };
    vec![client.id.clone(), client.name.clone(), state, client.files.join(", ")]
}
