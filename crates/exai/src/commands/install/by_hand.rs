//! Clients whose files exai does not change: the user pastes the entries.

use exai_setup::ServerEntry;
use exai_setup::client::{Client, Directories, Launch};

use super::handshake;
use crate::client_config::by_hand::{PastedEntries, find_pasted, in_words};
use crate::error::Error;
use crate::printer::Printer;

/// Prints what is to be pasted, unless it is there already, and what is to be taken out.
pub(super) fn install(
    client: &Client,
    directories: &Directories,
    launches: &[(String, Launch)],
    printer: &Printer,
) -> Result<(), Error> {
    let wanted = read_wanted(client, launches);
    let found = find_pasted(client, directories)?;
    let name = client.display_name;
    let has_all = |file: &&PastedEntries| wanted.iter().all(|wanted| file.has(wanted));
    let complete = found.iter().find(has_all).filter(|_| !wanted.is_empty());
    if let Some(file) = complete {
        printer.line(&format!("{name}: {} has the entry already", file.path.display()))?;
    } else {
        printer.line(&format!("{name} is configured by hand; paste this:"))?;
        for line in client.snippet(launches).lines() {
            printer.line(line)?;
        }
        for file in found.iter().filter(|file| file.has_servers) {
            let (path, key) = (file.path.display(), client.snippet.pointer.join("."));
            printer.note(&format!("{path} has `{key}` already: add only the lines below that key to it"));
        }
    }
    for file in &found {
        let mut unwanted = file.entries.iter().filter(|one| !is_among(&one.entry, &wanted)).peekable();
        if unwanted.peek().is_some() {
            printer.warn(&format!(
                "take these lines out of {} by hand: {}",
                file.path.display(),
                in_words(unwanted)
            ));
        }
    }
    if complete.is_none() {
        return printer.line(client.reload);
    }
    let launches: Vec<&Launch> = launches.iter().map(|(_, launch)| launch).collect();
    handshake::report(client, &launches, printer)
}

/// The entries as the client will read them.
fn read_wanted(client: &Client, launches: &[(String, Launch)]) -> Vec<ServerEntry> {
    let Some(file) = client.user_files().next() else { return Vec::new() };
    let found = client.read_servers(file, &client.snippet(launches)).unwrap_or_default();
    found.servers.into_iter().map(|server| server.entry).collect()
}

impl PastedEntries {
    fn has(&self, wanted: &ServerEntry) -> bool {
        self.entries.iter().any(|one| starts_the_same(&one.entry, wanted))
    }
}

fn is_among(entry: &ServerEntry, wanted: &[ServerEntry]) -> bool {
    wanted.iter().any(|wanted| starts_the_same(entry, wanted))
}

fn starts_the_same(one: &ServerEntry, other: &ServerEntry) -> bool {
    one.name == other.name && one.transport == other.transport
}
