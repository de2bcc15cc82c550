//! `exai restore`: gives the clients back what they had before `exai install` and `exai import`.

use exai_config::Home;
use exai_config::choice_edit::forget_choice;
use exai_config::edit::{self, EditError};
use exai_config::secret_edit::{SecretEditError, remove_secret};
use exai_proto::exit;
use exai_setup::client::find_client;

use super::{connector, install, reload, uninstall};
use crate::cli::RestoreArgs;
use crate::client_config::import_record::{ImportRecord, read_config};
use crate::client_config::installs::{Before, Import, Installs, Original, kept_bytes};
use crate::client_config::{find_directories, locate_recorded};
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &RestoreArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let home = connector.home();
    let installs = Installs::load(home)?;
    let directories = find_directories()?;
    for id in &args.clients {
        install::find_client_or_refuse(id)?;
    }
    let is_meant = |client: &str| args.clients.is_empty() || args.clients.iter().any(|id| id == client);
    let mut code = exit::DONE;
    let mut found = false;
    for install in installs.files.iter().filter(|install| is_meant(&install.client)) {
        found = true;
        let restored = find_client(&install.client)
            .and_then(|client| Some((client, locate_recorded(client, &install.path, &directories)?)))
            .ok_or_else(|| {
                Error::failed(format!("{} is no file of a client that exai knows", install.path.display()))
            })
            .and_then(|(client, located)| {
                uninstall::undo_and_report(client, &located, home, args.force, printer)
            });
        if let Err(error) = restored {
            printer.warn(error.what());
            if let Some((_, Some(hint))) = error.lines() {
                printer.hint(hint);
            }
            code = exit::FAILED;
        }
    }
    for id in &args.clients {
        ImportRecord::forget_client(home, id)?;
    }
    // A client that still relies on exai needs the servers that exai has for it.
    let rest = Installs::load(home)?;
    if let Some(import) = rest.import.clone().filter(|_| rest.files.is_empty() && args.clients.is_empty()) {
        found = true;
        take_import_back(home, import, printer)?;
        reload(&connector, None)?;
    }
    if !found {
        printer.line("there is nothing to restore: no client has anything of exai")?;
    }
    Ok(code)
}

/// Takes out of exai's own configuration what `exai import` has put there.
fn take_import_back(home: &Home, import: Import, printer: &Printer) -> Result<(), Error> {
    let failed = |error: EditError| Error::failed(error.to_string());
    let now = read_config(home)?;
    let written = import.written.as_ref().and_then(|name| kept_bytes(home, name));
    let original = match &import.original {
        Original::Missing => Some(Before::Missing),
        Original::Kept(name) => kept_bytes(home, name).map(Before::Bytes),
        Original::Unknown => None,
    };
    let exact = match original.filter(|_| written.is_some() && written == now) {
        Some(original) => edit::replace_whole(home, now.as_deref(), original.bytes()).map_err(failed)?,
        None => false,
    };
    if !exact {
        for server in &import.servers {
            match edit::remove(home, server) {
                Ok(()) | Err(EditError::Unknown { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    for client in import.clients.iter().filter(|_| !exact) {
        forget_choice(home, client).map_err(failed)?;
    }
    for secret in &import.secrets {
        match remove_secret(home, secret) {
            Ok(()) | Err(SecretEditError::Unknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut installs = Installs::load(home)?;
    installs.import = None;
    installs.save(home)?;
    installs.discard_unnamed(home, import.kept_names());
    if exact {
        printer.line("config.toml is what it was before the import")
    } else {
        printer.line("the imported servers are out of config.toml; the rest is as you left it")
    }
}
