//! `exai clients`: which MCP clients are on this machine, and which of them use exai.

use std::path::PathBuf;

use exai_config::environment;
use exai_os::{account, search};
use exai_proto::documents::{ConfiguredClient, ConfiguredClients, SCHEMA};
use exai_proto::exit;
use exai_proto::last_connections::LastConnections;
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_setup::client::{Client, Directories, clients};
use exai_setup::{ServerEntry, Transport};

use super::{ask, connector, install, unexpected};
use crate::cli::JsonArgs;
use crate::client_config::{self, last_connections};
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
    let last = last_connections::load(connector.home());
    let all: Vec<ConfiguredClient> =
        clients().iter().map(|client| describe(client, &directories, &connected, &last)).collect();
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

fn describe(
    client: &'static Client,
    directories: &Directories,
    connected: &[String],
    last: &LastConnections,
) -> ConfiguredClient {
    let (mut located, found) = client_config::locate_entries(client, directories);
    let mut others = client_config::find_others(client, directories, &located);
    others.retain(|one| install::has_entry(client, one).unwrap_or_default());
    located.append(&mut others);
    let mut problem = None;
    let mut entries = Vec::new();
    for one in located.iter().filter(|one| one.exists) {
        match install::find_entries(client, one) {
            Ok(mut found) => entries.append(&mut found),
            Err(error) => problem = error.lines().map(|(what, _)| what.to_owned()),
        }
    }
    let configured = !entries.is_empty();
    if let Some(program) = find_missing_program(&entries) {
        problem.get_or_insert(format!(
            "configured, but there is no program {program}: run `exai install {}`",
            client.id
        ));
    }
    let connected = connected.iter().filter(|label| *label == client.id).count() as u64;
    let last_connected = last.clients.get(client.id).cloned();
    ConfiguredClient {
        id: client.id.to_owned(),
        name: client.display_name.to_owned(),
        found: found || connected > 0 || last_connected.is_some(),
        files: located.iter().map(|one| one.path.display().to_string()).collect(),
        configured,
        connected,
        last_connected,
        problem,
    }
}

/// The program of an entry, if it is not there.
fn find_missing_program(entries: &[ServerEntry]) -> Option<&str> {
    let cwd = account::current().map_or_else(|_| PathBuf::from("/"), |account| account.home);
    let vars = environment::of_this_process();
    entries.iter().find_map(|entry| match &entry.transport {
        // A variable in the command has the value that the client gives it.
        Transport::Stdio { command, .. } if !command.contains("${") => {
            search::resolve(command, &cwd, &vars).is_err().then_some(command.as_str())
        }
        Transport::Stdio { .. } | Transport::Url { .. } => None,
    })
}

fn row(client: &ConfiguredClient) -> Vec<String> {
    // exai cannot see the entry of a client that is configured by hand.
    let configured = match client.configured {
        true => "configured",
        false if client.files.is_empty() => "configured by hand",
        false => "not configured",
    };
    let state = match (&client.problem, client.connected, &client.last_connected) {
        (Some(problem), _, _) => problem.clone(),
        (None, 0, Some(last)) => format!("{configured}, {}", last_connections::describe(last)),
        (None, 0, None) if client.configured => format!("{configured}, never connected"),
        (None, 0, None) => configured.to_owned(),
        (None, connected, _) => format!("connected ({connected})"),
    };
    vec![client.id.clone(), client.name.clone(), state, client.files.join(", ")]
}
