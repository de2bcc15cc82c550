//! `exai install`: writes exai into the configuration of MCP clients.

mod by_hand;
pub(super) mod handshake;
mod trial_shim;

use std::collections::BTreeSet;

use exai_config::{Home, environment};
use exai_os::process;
use exai_proto::exit;
use exai_setup::ServerEntry;
use exai_setup::client::{Client, Directories, Launch, Rewrites, clients, find_client, starts_exai};

use super::{ask, connector};
use crate::cli::InstallArgs;
use crate::client_config::change::FileChange;
use crate::client_config::{self, Located};
use crate::error::Error;
use crate::printer::Printer;

/// The name of the entry.
pub(crate) const ENTRY: &str = "exai";

pub(crate) fn run(args: &InstallArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let home = connector.home();
    for note in home.prepare()? {
        printer.warn(&note.to_string());
    }
    for_each_client(&args.clients, args.all, printer, |client, directories| {
        install(client, home, directories, args, printer)
    })
}

/// Does something for each client that the command line means. Of several, one that fails does not keep the others from it.
pub(super) fn for_each_client(
    ids: &[String],
    all: bool,
    printer: &Printer,
    mut apply: impl FnMut(&'static Client, &Directories) -> Result<(), Error>,
) -> Result<u8, Error> {
    let directories = client_config::find_directories()?;
    let chosen = choose(ids, all, &directories)?;
    let several = chosen.len() > 1;
    let mut code = exit::DONE;
    let mut hints = BTreeSet::new();
    for client in chosen {
        match apply(client, &directories) {
            Ok(()) => {}
            Err(error) if several => {
                printer.warn(&format!("{}: {}", client.display_name, error.what()));
                // What mends all of them is said once.
                if let Some((_, Some(hint))) = error.lines()
                    && hints.insert(hint.to_owned())
                {
                    printer.hint(hint);
                }
                code = exit::FAILED;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(code)
}

/// The clients that the command line means: those with these ids, or all that seem to be on this machine.
fn choose(ids: &[String], all: bool, directories: &Directories) -> Result<Vec<&'static Client>, Error> {
    if all {
        let here = |client: &&Client| client_config::locate_files(client, directories).1;
        let found: Vec<&Client> = clients().iter().filter(here).collect();
        if found.is_empty() {
            return Err(Error::failed("no client is found on this machine")
                .hint("`exai clients` lists those that exai knows"));
        }
        return Ok(found);
    }
    ids.iter().map(|id| find_client_or_refuse(id)).collect()
}

/// The client with this id.
pub(super) fn find_client_or_refuse(id: &str) -> Result<&'static Client, Error> {
    find_client(id).ok_or_else(|| {
        let known: Vec<&str> = clients().iter().map(|client| client.id).collect();
        Error::usage(format!("there is no client `{id}`; exai knows: {}", known.join(", ")))
    })
}

fn install(
    client: &'static Client,
    home: &Home,
    directories: &Directories,
    args: &InstallArgs,
    printer: &Printer,
) -> Result<(), Error> {
    let launches = find_launches(client, home, args.each)?;
    let (located, _) = client_config::locate_files(client, directories);
    if located.is_empty() {
        return by_hand::install(client, directories, &launches, printer);
    }
    refuse_if_it_would_be_lost(client, args.force, printer)?;
    for one in &located {
        write_entries(client, one, &launches, home, args, printer)?;
    }
    Ok(())
}

/// Refuses to write into the file of a client that runs and writes the file from memory.
pub(super) fn refuse_if_it_would_be_lost(
    client: &Client,
    force: bool,
    printer: &Printer,
) -> Result<(), Error> {
    let name = client.display_name;
    let runs = || process::snapshot().is_ok_and(|all| client_config::is_running(client, &all));
    match client.rewrites {
        Rewrites::Yes if !force && runs() => {
            let what = format!(
                "{name} runs, and writes its file from memory when it ends: the change would be lost"
            );
            Err(Error::refused(what).hint("quit it first; `--force` writes all the same"))
        }
        Rewrites::Untried if runs() => {
            printer.warn(&format!(
                "{name} runs, and may write its file from memory: `exai doctor` says if the change is lost"
            ));
            Ok(())
        }
        Rewrites::No | Rewrites::Untried | Rewrites::Yes => Ok(()),
    }
}

/// What an entry of exai in the file of a client starts.
pub(super) fn new_launch(client: &Client, home: &Home, server: Option<String>) -> Result<Launch, Error> {
    Ok(Launch {
        program: own_program()?,
        client: client.id.to_owned(),
        server,
        // Four of twelve clients do not hand the variables on, so the entry does where they are set. A shim that starts the
        // daemon gives it both.
        home: environment::HOME.get().map(|_| home.path().display().to_string()),
        port: environment::PORT.get().map(|port| port.to_string_lossy().into_owned()),
    })
}

/// The absolute path of exai, as an entry names it.
pub(super) fn own_program() -> Result<String, Error> {
    let program = std::env::current_exe()
        .map_err(|error| Error::failed(format!("cannot find exai itself: {error}")))?;
    Ok(dunce::simplified(&program).display().to_string())
}

/// The entries to write, each with its name.
fn find_launches(client: &Client, home: &Home, each: bool) -> Result<Vec<(String, Launch)>, Error> {
    if !each {
        return Ok(vec![(ENTRY.to_owned(), new_launch(client, home, None)?)]);
    }
    let config = exai_config::load(home)?;
    if config.servers.is_empty() {
        return Err(Error::failed("no servers are configured").hint("`exai add NAME -- COMMAND` adds one"));
    }
    let names = config.servers.names().map(str::to_owned);
    names.map(|name| Ok((name.clone(), new_launch(client, home, Some(name))?))).collect()
}

fn write_entries(
    client: &'static Client,
    located: &Located,
    launches: &[(String, Launch)],
    home: &Home,
    args: &InstallArgs,
    printer: &Printer,
) -> Result<(), Error> {
    let mut change = FileChange::begin(client, located)?;
    let names: Vec<&str> = launches.iter().map(|(name, _)| name.as_str()).collect();
    change.drop_earlier(home, &names)?;
    for (name, launch) in launches {
        change.put(name, launch, args.force)?;
    }
    let shown = change.shown_path();
    let switched_off = change.find_switched_off()?;
    if !change.changes_anything() {
        change.forget_dropped(home)?;
        printer.line(&format!("{}: {shown} has the entry already", client.display_name))?;
        return report_entries(client, &switched_off, &shown, launches, printer);
    }
    change.show(printer)?;
    if !args.yes && !confirm("write this?", printer)? {
        return printer.line(&format!("{}: nothing was changed", client.display_name));
    }
    change.write(home)?;
    printer.line(&format!("{}: exai is in {shown}", client.display_name))?;
    report_entries(client, &switched_off, &shown, launches, printer)?;
    printer.line(client.reload)
}

/// Says what the client will see by the entries of a file, those that are switched off there left out.
fn report_entries(
    client: &Client,
    switched_off: &[String],
    file: &str,
    launches: &[(String, Launch)],
    printer: &Printer,
) -> Result<(), Error> {
    for name in switched_off {
        let client = client.display_name;
        printer.warn(&format!("{client} does not use the entry `{name}`: it is switched off in {file}"));
    }
    if !switched_off.is_empty() {
        printer.hint(&handshake::switch_on(client));
    }
    let is_on = |(name, launch)| (!switched_off.contains(name)).then_some(launch);
    let on: Vec<&Launch> = launches.iter().map(|(name, launch)| (name, launch)).filter_map(is_on).collect();
    if on.is_empty() { Ok(()) } else { handshake::report(client, &on, printer) }
}

/// Asks on a terminal. Without one nothing is changed unasked.
pub(super) fn confirm(question: &str, printer: &Printer) -> Result<bool, Error> {
    if !ask::is_possible() {
        return Err(
            Error::failed("there is no terminal to ask on").hint("`--yes` makes the change without asking")
        );
    }
    ask::confirm(question, printer)
}

/// Whether a file has an entry of exai.
pub(super) fn has_entry(client: &Client, one: &Located) -> Result<bool, Error> {
    Ok(!find_entries(client, one)?.is_empty())
}

/// The entries of exai in a file.
pub(super) fn find_entries(client: &Client, one: &Located) -> Result<Vec<ServerEntry>, Error> {
    let (_, found) = client_config::read_servers(client, one)?;
    Ok(found.servers.into_iter().map(|server| server.entry).filter(starts_exai).collect())
}
