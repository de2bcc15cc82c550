//! `exai install`: writes exai into the configuration of MCP clients.

mod handshake;
mod preview;

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use exai_config::{Home, environment};
use exai_os::process;
use exai_proto::exit;
use exai_setup::TextFile;
use exai_setup::client::{Client, Directories, Launch, clients, find_client, starts_exai};

use super::connector;
use crate::cli::InstallArgs;
use crate::client_config::installs::{Install, InstalledEntry, Installs, keep_bytes};
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
    for client in chosen {
        match apply(client, &directories) {
            Ok(()) => {}
            Err(error) if several => {
                printer.warn(&format!("{}: {}", client.display_name, error.what()));
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
    let find = |id: &String| {
        find_client(id).ok_or_else(|| {
            let known: Vec<&str> = clients().iter().map(|client| client.id).collect();
            Error::usage(format!("there is no client `{id}`; exai knows: {}", known.join(", ")))
        })
    };
    ids.iter().map(find).collect()
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
        printer.line(&format!("{} is configured by hand; paste this:", client.display_name))?;
        for (name, launch) in &launches {
            for line in client.snippet(name, launch).lines() {
                printer.line(line)?;
            }
        }
        return printer.line(client.reload);
    }
    if client.rewrites_file && is_running(client) && !args.force {
        let what = format!(
            "{} runs, and writes its file from memory when it ends: the entry would be lost",
            client.display_name
        );
        return Err(Error::refused(what).hint("quit it first; `--force` writes the entry all the same"));
    }
    for one in &located {
        write_entries(client, one, &launches, home, args, printer)?;
    }
    Ok(())
}

/// The entries to write, each with its name.
fn find_launches(client: &Client, home: &Home, each: bool) -> Result<Vec<(String, Launch)>, Error> {
    let program = std::env::current_exe()
        .map_err(|error| Error::failed(format!("cannot find exai itself: {error}")))?;
    let program = dunce::simplified(&program).display().to_string();
    // Four of twelve clients do not hand the variable on, so the entry does where it is set.
    let elsewhere = environment::HOME.get().map(|_| home.path().display().to_string());
    let launch = |server: Option<String>| Launch {
        program: program.clone(),
        client: client.id.to_owned(),
        server,
        home: elsewhere.clone(),
    };
    if !each {
        return Ok(vec![(ENTRY.to_owned(), launch(None))]);
    }
    let config = exai_config::load(home)?;
    if config.servers.is_empty() {
        return Err(Error::failed("no servers are configured").hint("`exai add NAME -- COMMAND` adds one"));
    }
    Ok(config.servers.names().map(|name| (name.to_owned(), launch(Some(name.to_owned())))).collect())
}

fn is_running(client: &Client) -> bool {
    let is_its = |name: &str| {
        let name = name.strip_suffix(".exe").unwrap_or(name);
        client.processes.contains(&name)
    };
    process::snapshot().is_ok_and(|all| all.iter().any(|one| is_its(&one.name)))
}

fn write_entries(
    client: &'static Client,
    Located { file, path, .. }: &Located,
    launches: &[(String, Launch)],
    home: &Home,
    args: &InstallArgs,
    printer: &Printer,
) -> Result<(), Error> {
    let shown = path.display();
    let before = client_config::read(path)?;
    let TextFile { text, encoding } = client_config::decode(path, before.as_deref())?;
    let refuse =
        |error: &dyn std::fmt::Display| Error::failed(format!("{shown}: {error}; it was left as it is"));
    let found = client.read_servers(file, &text).map_err(|error| refuse(&error))?;
    let mut edited = text.clone();
    let mut entries = Vec::new();
    for (name, launch) in launches {
        let there = found.servers.iter().find(|one| one.project.is_none() && one.entry.name == *name);
        if there.is_some_and(|one| !starts_exai(&one.entry)) && !args.force {
            let what = format!("{shown} has another server `{name}`; it was left as it is");
            return Err(Error::refused(what).hint("`--force` replaces it"));
        }
        let change = client.put(file, &edited, name, launch).map_err(|error| refuse(&error))?;
        edited = change.text;
        entries.push(InstalledEntry { name: name.clone(), made: change.made });
    }
    let after = TextFile { text: edited.clone(), encoding }.encode(&edited, client.rejects_mark);
    let mut installs = Installs::load(home)?;
    if before.as_deref() == Some(&after[..]) {
        printer.line(&format!("{}: {shown} has the entry already", client.display_name))?;
        return handshake::report(client, &launches[0].1, printer);
    }
    preview::show(&shown.to_string(), &text, &edited, printer)?;
    if !args.yes && !confirm(printer)? {
        return printer.line(&format!("{}: nothing was changed", client.display_name));
    }
    // The first state that exai has found counts as the original, also after several installs.
    let known = installs.find(client.id, path).cloned();
    let original = match &known {
        Some(known) => known.original.clone(),
        None => before.as_deref().map(|bytes| keep_bytes(home, client.id, bytes)).transpose()?,
    };
    let entries = known.as_ref().map_or(entries.clone(), |known| merge(&known.entries, entries));
    let written = keep_bytes(home, client.id, &after)?;
    let encoding = known.map_or(encoding, |known| known.encoding);
    installs.forget(client.id, path);
    installs.installs.push(Install {
        client: client.id.to_owned(),
        path: path.clone(),
        entries,
        encoding,
        original,
        written,
    });
    // The record is there before the entry: whatever happens in between, `exai uninstall` finds both.
    installs.save(home)?;
    client_config::replace(path, before.as_deref(), Some(&after))?;
    printer.line(&format!("{}: exai is in {shown}", client.display_name))?;
    handshake::report(client, &launches[0].1, printer)?;
    printer.line(client.reload)
}

/// The entries of an earlier install keep what is known of them.
fn merge(known: &[InstalledEntry], new: Vec<InstalledEntry>) -> Vec<InstalledEntry> {
    let is_known = |entry: &InstalledEntry| known.iter().any(|one| one.name == entry.name);
    let more: Vec<InstalledEntry> = new.into_iter().filter(|entry| !is_known(entry)).collect();
    known.iter().cloned().chain(more).collect()
}

/// Asks on a terminal. Without one nothing is changed unasked.
pub(super) fn confirm(printer: &Printer) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(
            Error::failed("there is no terminal to ask on").hint("`--yes` makes the change without asking")
        );
    }
    printer.prompt("write this? [Y/n] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Error::failed(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

/// Whether a file has an entry of exai.
pub(super) fn has_entry(client: &Client, one: &Located) -> Result<bool, Error> {
    let bytes = client_config::read(&one.path)?;
    let TextFile { text, .. } = client_config::decode(&one.path, bytes.as_deref())?;
    let found = client.read_servers(one.file, &text);
    let found = found.map_err(|error| Error::failed(format!("{}: {error}", Path::display(&one.path))))?;
    Ok(found.servers.iter().any(|server| starts_exai(&server.entry)))
}
