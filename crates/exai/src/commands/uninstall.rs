//! `exai uninstall`: takes exai out of the configuration of MCP clients.

use exai_config::Home;
use exai_setup::client::{Client, Directories};

use super::{connector, install};
use crate::cli::UninstallArgs;
use crate::client_config::by_hand::{PastedEntries, find_pasted, in_words};
use crate::client_config::import_record::ImportRecord;
use crate::client_config::installs::Installs;
use crate::client_config::undo::{Undone, undo_file};
use crate::client_config::{self, Located};
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &UninstallArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let home = connector.home();
    install::for_each_client(&args.clients, args.all, printer, |client, directories| {
        uninstall(client, home, directories, args.force, printer)
    })
}

fn uninstall(
    client: &'static Client,
    home: &Home,
    directories: &Directories,
    force: bool,
    printer: &Printer,
) -> Result<(), Error> {
    let mut found = false;
    for one in client_config::find_touched(client, directories, home)? {
        found |= undo_and_report(client, &one, home, force, printer)?;
    }
    ImportRecord::forget_client(home, client.id)?;
    let name = client.display_name;
    let mut pasted = find_pasted(client, directories)?;
    pasted.retain(|file| !file.entries.is_empty());
    if !pasted.is_empty() {
        let take_out = |file: &PastedEntries| {
            let lines = in_words(file.entries.iter());
            format!("take these lines out of {} by hand: {lines}", file.path.display())
        };
        return Err(Error::failed(format!(
            "exai does not change the file of {name}, which has an entry of exai"
        ))
        .hint(pasted.iter().map(take_out).collect::<Vec<_>>().join("; ")));
    }
    if client.user_files().next().is_none() {
        printer.line(&format!("{name} keeps its servers where exai cannot look: take exai out there"))?;
    } else if !found {
        printer.line(&format!("{name} has no entry of exai"))?;
    }
    Ok(())
}

/// Takes exai out of one file. Returns whether exai was there.
pub(super) fn undo_and_report(
    client: &'static Client,
    located: &Located,
    home: &Home,
    force: bool,
    printer: &Printer,
) -> Result<bool, Error> {
    let is_recorded = Installs::load(home)?.find(client.id, &located.path).is_some();
    if is_recorded || install::has_entry(client, located)? {
        install::refuse_if_it_would_be_lost(client, force, printer)?;
        client_config::refuse_if_protected(&located.path, force)?;
    }
    let shown = located.path.display();
    let words = match undo_file(home, client, located)? {
        Undone::Nothing => return Ok(false),
        Undone::Original => format!("{shown} is what it was"),
        Undone::Gone => format!("{shown} is gone, as it was before"),
        Undone::Edited => format!("exai is out of {shown}; the rest is as you left it"),
    };
    printer.line(&format!("{}: {words}", client.display_name))?;
    Ok(true)
}
