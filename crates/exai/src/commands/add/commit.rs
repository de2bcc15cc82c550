//! Adds a server that is ready: its files, its secrets, its entry in `config.toml`.

use exai_config::choice_edit::{self, ShownServer};
use exai_config::edit::{self, EditError, NewServer};
use exai_config::{Config, Home, ServerConfig};
use exai_setup::{ServerEntry, Transport};

use super::bundle::{PackedBundle, UnpackedBundle};
use super::options::Options;
use super::prepare::Prepared;
use super::store;
use crate::bundle_files;
use crate::client_config::installs::Installs;
use crate::error::Error;
use crate::printer::Printer;

/// Adds a server. Returns its name. If it is not added, no files of it stay.
pub(super) fn commit(
    home: &Home,
    prepared: Prepared,
    options: &Options,
    printer: &Printer,
) -> Result<String, Error> {
    let Prepared { name, entry, secrets, bundle } = prepared;
    let replaced =
        exai_config::load(home)?.servers.get(&name).map(|server| bundle_files::used_by(server, home));
    let unpacked = bundle.as_ref().map(|bundle: &PackedBundle| bundle.unpack(home)).transpose()?;
    let added = secrets
        .into_iter()
        .try_for_each(|secret| secret.keep(home, printer))
        .and_then(|()| edit::add(home, &name, &new_server(entry, options), options.force).map_err(explain));
    if let Err(error) = added {
        unpacked.into_iter().for_each(UnpackedBundle::undo);
        return Err(error);
    }
    show_to_imported_clients(home, &name)?;
    let config = exai_config::load(home)?;
    for mistake in config.servers.get(&name).into_iter().flat_map(ServerConfig::likely_mistakes) {
        printer.warn(&mistake);
    }
    tell_who_does_not_see(&name, &config, printer);
    for directory in bundle_files::find_unused(replaced.unwrap_or_default(), &config, home) {
        printer.warn(&format!("no server uses the files in {} any more", directory.display()));
    }
    Ok(name)
}

/// Lets those clients see the new server whose choice `exai import` has written: that choice says what a client had, and who
/// adds a server to exai wants it in all clients. A choice of the user's own stays as it is.
fn show_to_imported_clients(home: &Home, name: &str) -> Result<(), Error> {
    let clients = Installs::load(home)?.import.map(|import| import.clients).unwrap_or_default();
    let server = [ShownServer { name: name.to_owned(), allow: Vec::new(), deny: Vec::new() }];
    for client in clients {
        choice_edit::show_servers(home, &client, &server).map_err(explain)?;
    }
    Ok(())
}

/// Names the clients whose choice leaves the new server out.
fn tell_who_does_not_see(name: &str, config: &Config, printer: &Printer) {
    let blind = config.clients.iter().filter(|(_, choice)| !choice.has_server(name));
    let blind: Vec<&str> = blind.map(|(client, _)| client).collect();
    if let Some(first) = blind.first() {
        let verb = if blind.len() == 1 { "does" } else { "do" };
        printer.note(&format!(
            "{} {verb} not see {name}: `servers` of [clients.{first}] in config.toml names others",
            blind.join(", ")
        ));
    }
}

/// What a failed change of `config.toml` means for the user.
pub(super) fn explain(error: EditError) -> Error {
    match error {
        EditError::Exists { .. } => Error::failed(error.to_string()).hint("`--force` replaces it"),
        EditError::Name(_) => Error::usage(error.to_string()),
        EditError::Unknown { .. }
        | EditError::Config(_)
        | EditError::Busy { .. }
        | EditError::Lock { .. }
        | EditError::Write { .. } => Error::failed(error.to_string()),
    }
}

fn new_server(entry: ServerEntry, options: &Options) -> NewServer {
    let is_url = matches!(entry.transport, Transport::Url { .. });
    let mut server = store::describe(entry);
    server.share.clone_from(&options.share);
    if is_url {
        // Those of its connections, or of ssh.
        server.env = store::hide(options.env.clone());
    }
    if options.via.is_some() {
        server.url = None;
        server.via.clone_from(&options.via);
        server.name_there.clone_from(&options.name_there);
        server.remote_command.clone_from(&options.remote_command);
    }
    if options.url.is_some() {
        server.url.clone_from(&options.url);
        server.headers = store::hide(options.headers.clone());
    }
    server
}
