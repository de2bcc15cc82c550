//! `exai uninstall`: takes exai out of the configuration of MCP clients.

use exai_config::Home;
use exai_setup::TextFile;
use exai_setup::client::{Client, Directories, starts_exai};

use super::{connector, install};
use crate::cli::UninstallArgs;
use crate::client_config::installs::{Install, InstalledEntry, Installs, kept_bytes};
use crate::client_config::{self, Located};
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &UninstallArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let home = connector.home();
    install::for_each_client(&args.clients, args.all, printer, |client, directories| {
        uninstall(client, home, directories, printer)
    })
}

fn uninstall(
    client: &'static Client,
    home: &Home,
    directories: &Directories,
    printer: &Printer,
) -> Result<(), Error> {
    let (located, _) = client_config::locate_files(client, directories);
    let mut found = false;
    for one in located.iter().filter(|one| one.exists) {
        found |= take_out(client, one, home, printer)?;
    }
    if !found {
        printer.line(&format!("{} has no entry of exai", client.display_name))?;
    }
    Ok(())
}

/// Takes the entries out of one file. Returns whether there were any.
fn take_out(client: &'static Client, one: &Located, home: &Home, printer: &Printer) -> Result<bool, Error> {
    let Located { file, path, .. } = one;
    let shown = path.display();
    let mut installs = Installs::load(home)?;
    let record = installs.find(client.id, path).cloned();
    let before = client_config::read(path)?;
    // A file that nobody has changed since becomes what it was, byte for byte.
    if let Some(Install { original, written, .. }) = &record
        && kept_bytes(home, written).is_some_and(|written| Some(&written) == before.as_ref())
        && let Some(original) = original.as_ref().map_or(Some(None), |name| kept_bytes(home, name).map(Some))
    {
        client_config::replace(path, before.as_deref(), original.as_deref())?;
        installs.forget(client.id, path);
        installs.save(home)?;
        let words = if original.is_some() { "is what it was" } else { "is gone, as it was before" };
        printer.line(&format!("{}: {shown} {words}", client.display_name))?;
        return Ok(true);
    }
    let TextFile { text, encoding } = client_config::decode(path, before.as_deref())?;
    let refuse =
        |error: &dyn std::fmt::Display| Error::failed(format!("{shown}: {error}; it was left as it is"));
    let servers = client.read_servers(file, &text).map_err(|error| refuse(&error))?.servers;
    let ours = servers.iter().filter(|one| one.project.is_none() && starts_exai(&one.entry));
    let names: Vec<&str> = ours.map(|one| one.entry.name.as_str()).collect();
    let known = record.map(|record| record.entries).unwrap_or_default();
    let mut edited = text.clone();
    // What was written last is taken out first: the first entry has made the containers.
    let order = |name: &&str| known.iter().position(|entry: &InstalledEntry| entry.name == **name);
    let mut sorted = names.clone();
    sorted.sort_by_key(|name| std::cmp::Reverse(order(name)));
    for name in sorted {
        let made = known.iter().find(|entry| entry.name == *name).and_then(|entry| entry.made.as_ref());
        edited = client.take_out(file, &edited, name, made).map_err(|error| refuse(&error))?;
    }
    if !names.is_empty() {
        let after = TextFile { text, encoding }.encode(&edited, client.rejects_mark);
        client_config::replace(path, before.as_deref(), Some(&after))?;
        printer
            .line(&format!("{}: exai is out of {shown}; the rest is as you left it", client.display_name))?;
    }
    installs.forget(client.id, path);
    installs.save(home)?;
    Ok(!names.is_empty())
}
