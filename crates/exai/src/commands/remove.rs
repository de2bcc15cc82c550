//! `exai remove`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use exai_config::secret_edit::remove_secret;
use exai_config::secret_store::SecretStore;
use exai_config::{Config, Home, ServerConfig, edit};
use exai_proto::exit;

use super::{ask, connector, reload};
use crate::bundle_files;
use crate::cli::RemoveArgs;
use crate::error::Error;
use crate::limits::{BUNDLE_RELEASE_INTERVAL, BUNDLE_RELEASE_TIMEOUT};
use crate::printer::Printer;

pub(crate) fn run(args: &RemoveArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let home = connector.home();
    let before = exai_config::load(home)?;
    let server = before.servers.get(&args.name);
    let bundles = server.map(|server| bundle_files::used_by(server, home)).unwrap_or_default();
    let secrets = server.map(ServerConfig::find_secrets).unwrap_or_default();
    edit::remove(home, &args.name).map_err(|error| Error::failed(error.to_string()).hint("`exai list`"))?;
    let live = reload(&connector, None)?;
    printer.line(&format!("removed {}", args.name))?;
    let config = exai_config::load(home)?;
    remove_bundles(home, (&args.name, bundles), (&config, live), printer);
    remove_secrets(home, secrets, &config, args.secrets, printer)?;
    Ok(exit::DONE)
}

/// Removes the files of bundles that no server uses any more, once the processes of the server have ended.
fn remove_bundles(
    home: &Home,
    (server, bundles): (&str, BTreeSet<PathBuf>),
    (config, live): (&Config, bool),
    printer: &Printer,
) {
    let unused = bundle_files::find_unused(bundles, config, home);
    if live && !unused.is_empty() {
        wait_for_end(server, home, printer);
    }
    for directory in unused {
        if let Err(error) = bundle_files::remove(&directory) {
            let shown = directory.display();
            printer.warn(&format!(
                "cannot remove the files of the server in {shown}: {error}; nothing uses them"
            ));
        }
    }
}

/// Waits until no process of a server has a record. One that does not end in time loses its files.
fn wait_for_end(server: &str, home: &Home, printer: &Printer) {
    let deadline = Instant::now() + BUNDLE_RELEASE_TIMEOUT;
    while has_records(server, &home.servers_dir()) && Instant::now() < deadline {
        printer.progress("waiting until the server has ended…");
        thread::sleep(BUNDLE_RELEASE_INTERVAL);
    }
    printer.clear_progress();
}

/// Whether there is a record `NAME.N.NONCE.json` of the server.
fn has_records(server: &str, records: &Path) -> bool {
    let start = format!("{server}.");
    let Ok(entries) = std::fs::read_dir(records) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(&start))
}

/// Forgets the secrets that no other server and no provider uses, if that is wanted: they may be kept nowhere else.
fn remove_secrets(
    home: &Home,
    secrets: BTreeSet<String>,
    config: &Config,
    wanted: bool,
    printer: &Printer,
) -> Result<(), Error> {
    let used = config.find_secrets();
    let store = SecretStore::load(home)?;
    let unused: Vec<String> =
        secrets.into_iter().filter(|secret| !used.contains(secret) && store.find(secret).is_some()).collect();
    if unused.is_empty() {
        return Ok(());
    }
    let names = unused.join(", ");
    let question = format!("no other server uses the secrets {names}; forget them?");
    let forgets = wanted || ask::is_possible() && ask::confirm_expressly(&question, printer)?;
    if !forgets {
        printer.warn(&format!("secrets.toml still has {names}, which no server uses"));
        for secret in unused {
            printer.hint(&format!("`exai secret remove {secret}`"));
        }
        return Ok(());
    }
    for secret in &unused {
        remove_secret(home, secret)?;
    }
    printer.line(&format!("forgot {names}"))
}
