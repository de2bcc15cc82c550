//! `exai import`: the servers that the clients have become exai's, and with `--takeover` exai stands in their place.

mod bridges;
pub(super) mod comparison;
mod naming;
mod savings;
mod scan;
mod takeover;
mod trial;

use exai_config::edit;
use exai_config::{Home, shown_args};
use exai_proto::exit;
use exai_setup::Transport;
use exai_setup::client::Client;
use exai_setup::import::MergedServer;
use exai_setup::source::find_secrets;

use self::naming::Named;
use self::savings::Copies;
use super::add::{secrets, store};
use super::{connector, count, install, reload};
use crate::cli::ImportArgs;
use crate::client_config::find_directories;
use crate::client_config::import_record::ImportRecord;
use crate::client_config::installs::Installs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &ImportArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let home = connector.home();
    for note in home.prepare()? {
        printer.warn(&note.to_string());
    }
    let directories = find_directories()?;
    let chosen = choose(&args.from)?;
    let mut scan = scan::read_clients(&chosen, &directories, &Installs::load(home)?);
    let named = naming::name_servers(home, exai_setup::import::merge(std::mem::take(&mut scan.candidates)))?;
    show(&named, &scan, printer)?;
    let mut code = if scan.problems.is_empty() { exit::DONE } else { exit::FAILED };
    if named.is_empty() {
        return Ok(code);
    }
    if args.dry_run {
        printer.line("nothing was changed")?;
        return Ok(exit::DONE);
    }
    let new = named.iter().filter(|server| !server.is_known).count();
    let question = format!("add {} to config.toml?", count(new, "server"));
    if new > 0 && !args.yes && !install::confirm(&question, printer)? {
        printer.line("nothing was changed")?;
        return Ok(exit::DONE);
    }
    // What runs now is counted before exai starts anything.
    let copies = Copies::find(&named);
    add_new(home, &named, printer)?;
    reload(&connector, None)?;
    let tried = if args.no_check { None } else { Some(trial::try_all(&named, printer)?) };
    if args.takeover {
        let works = |server: &&Named| tried.as_ref().is_none_or(|works| works.contains(&server.name));
        let ready: Vec<Named> = named.iter().filter(works).cloned().collect();
        let takeover = takeover::Takeover { home, directories: &directories, args, printer };
        code = code.max(takeover.run(&chosen, &scan, &named, &ready, &connector)?);
    } else {
        printer.hint(
            "`exai import --takeover` puts exai in their place in the clients; `exai restore` undoes that",
        );
    }
    copies.report(&connector, &named, printer)?;
    Ok(code)
}

/// The clients whose servers are wanted.
fn choose(ids: &[String]) -> Result<Vec<&'static Client>, Error> {
    if ids.is_empty() || ids.iter().any(|id| id == "all") {
        return Ok(exai_setup::client::clients().iter().collect());
    }
    ids.iter().map(|id| install::find_client_or_refuse(id)).collect()
}

/// Says what was found, and what stays where it is.
fn show(named: &[Named], scan: &scan::Scan, printer: &Printer) -> Result<(), Error> {
    if named.is_empty() {
        printer.line("no client has a server that exai could host")?;
    } else {
        let entries: usize = named.iter().map(|server| server.merged.origins.len()).sum();
        let (servers, entries) = (count(named.len(), "server"), entries_word(entries));
        printer.line(&format!("found {servers} in {entries} of the clients' files:"))?;
        printer.table(&named.iter().map(row).collect::<Vec<_>>())?;
    }
    for server in named {
        if let Some(url) = bridges::find_url_of_mcp_remote(&server.merged.entry.transport) {
            tell_of_bridge(&server.name, url, printer);
        }
    }
    for left in &scan.left {
        printer.note(&format!("{}: {} stays there: {}", left.client, left.name, left.why));
    }
    for problem in &scan.problems {
        printer.warn(problem);
    }
    Ok(())
}

/// Says how a server does without mcp-remote.
fn tell_of_bridge(name: &str, url: &str, printer: &Printer) {
    // A key may be in the query.
    let url = if url.contains(['?', '#']) { "URL" } else { url };
    printer.note(&format!(
        "{name} runs mcp-remote, which exai does without: after the import, `exai add {name} {url} --force` reaches the server \
         itself, and `exai login {name} --from mcp-remote` takes over the sign-in that mcp-remote has kept"
    ));
}

fn entries_word(number: usize) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

fn row(server: &Named) -> Vec<String> {
    let state = if server.is_known { "in config.toml already" } else { "new" };
    vec![
        format!("  {}", server.name),
        shown_command(&server.merged),
        state.to_owned(),
        clients_of(&server.merged),
    ]
}

/// The ids of the clients that have a server.
fn clients_of(merged: &MergedServer) -> String {
    let mut ids: Vec<&str> = merged.origins.iter().map(|origin| origin.client).collect();
    ids.dedup();
    ids.join(", ")
}

/// A command line without what looks like a secret in it.
fn shown_command(merged: &MergedServer) -> String {
    const SHOWN_CHARS: usize = 60;
    let whole = match &merged.entry.transport {
        Transport::Stdio { command, args, .. } => {
            [vec![command.clone()], shown_args(args)].concat().join(" ")
        }
        Transport::Url { url, .. } => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
    };
    exai_proto::limits::cut(&whole, SHOWN_CHARS)
}

/// Writes the new servers and their secrets. What is about to be written is recorded first, so that `exai restore` finds it
/// whatever happens in between.
fn add_new(home: &Home, named: &[Named], printer: &Printer) -> Result<(), Error> {
    let new: Vec<&Named> = named.iter().filter(|server| !server.is_known).collect();
    if new.is_empty() {
        return Ok(());
    }
    let secrets: Vec<String> = new
        .iter()
        .flat_map(|server| {
            find_secrets(&server.merged.entry).into_iter().map(|key| secrets::secret_name(&server.name, key))
        })
        .collect();
    let mut record = ImportRecord::begin(home)?;
    record.announce(new.iter().map(|server| server.name.clone()), secrets.iter().cloned())?;
    for server in &new {
        let mut entry = server.merged.entry.clone();
        secrets::move_secrets(home, &server.name, &mut entry)?;
        let mut table = store::describe(entry);
        table.comment = Some(format!("from {}", clients_of(&server.merged)));
        edit::add(home, &server.name, &table, false).map_err(|error| Error::failed(error.to_string()))?;
    }
    record.finish()?;
    let kept = match secrets.len() {
        0 => String::new(),
        kept => format!(
            "; {} in secrets.toml",
            if kept == 1 { "1 secret is".to_owned() } else { format!("{kept} secrets are") }
        ),
    };
    printer.line(&format!("added {} to config.toml{kept}", count(new.len(), "server")))?;
    Ok(())
}
