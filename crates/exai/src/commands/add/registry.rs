//! A server of the registry: what the registry says, and which of its packages is taken.

use std::path::{Path, PathBuf};

use exai_config::{Home, environment};
use exai_setup::Transport;
use exai_setup::source::{
    BundleDownload, MAX_BUNDLE_BYTES, Offer, RegistryName, RegistryServer, SourceError, read_server_json,
};

use super::super::ask;
use super::bundle_source::read_bundle;
use super::candidate::{Candidate, Introduction};
use super::download::{Fetch, Redirects};
use super::hash::sha256;
use super::options::Options;
use super::preview::show_command;
use super::program::is_program;
use crate::error::Error;
use crate::limits::{DOWNLOAD_TIMEOUT, MAX_ANSWER_BYTES, REGISTRY_TIMEOUT};
use crate::printer::Printer;

/// The registry of MCP servers.
const REGISTRY: &str = "https://registry.modelcontextprotocol.io";

/// Asks the registry for a server.
pub(super) fn ask_registry(name: &RegistryName, printer: &Printer) -> Result<RegistryServer, Error> {
    let (registry, _) = find_registry()?;
    printer.progress(&format!("asking the registry for {name}…"));
    let fetch =
        Fetch { timeout: REGISTRY_TIMEOUT, max_bytes: MAX_ANSWER_BYTES, redirects: Redirects::SameOrigin };
    let answer = fetch.get(&format!("{registry}{}", name.url_path()));
    printer.clear_progress();
    let failed = |what: String| Error::failed(format!("the registry {registry} {what}; nothing was added"));
    let answer =
        answer.map_err(|what| failed(what).hint("a file `server.json` or a command needs no registry"))?;
    match answer.status {
        200 => {}
        404 => return Err(failed(format!("has no server `{name}`"))),
        status => return Err(failed(format!("answered with the HTTP status {status}"))),
    }
    let refuse = |error: &dyn std::fmt::Display| failed(format!("gave an answer that is not taken: {error}"));
    let text = String::from_utf8(answer.body).map_err(|_| refuse(&"it is no UTF-8 text"))?;
    read_server_json(&text, Some(name)).map_err(|error| refuse(&error))
}

/// Reads a `server.json`.
pub(super) fn read_file(text: &str, shown: &str) -> Result<RegistryServer, Error> {
    read_server_json(text, None)
        .map_err(|error: SourceError| Error::failed(format!("{shown}: {error}; nothing was added")))
}

/// The address of the registry, without a `/` at its end, and whether that is on this machine.
fn find_registry() -> Result<(String, bool), Error> {
    let Some(given) = environment::REGISTRY.get() else { return Ok((REGISTRY.to_owned(), false)) };
    let given = given.to_string_lossy().trim_end_matches('/').to_owned();
    if !super::download::is_fetchable(&given) {
        let what = format!(
            "{} is `{given}`; it takes an https URL, or an http URL on this machine",
            environment::REGISTRY.name
        );
        return Err(Error::usage(what));
    }
    let is_local = given.starts_with("http://");
    Ok((given, is_local))
}

/// The server as it is added: one of its packages or remotes.
pub(super) fn choose_offer(
    server: RegistryServer,
    (home, base): (&Home, PathBuf),
    options: &Options,
    printer: &Printer,
) -> Result<Candidate, Error> {
    let what = super::program::shown_name(&server.name);
    for why in &server.left_out {
        printer.warn(&format!("one way to have `{what}` is left out: {why}"));
    }
    if server.deprecated {
        printer.warn(&format!("the registry says that `{what}` should no longer be used"));
    }
    let offer = choose(&server, options, printer)?;
    let version = server.version.as_deref().unwrap_or("without a version");
    let introduction =
        Introduction { title: format!("{} {version}", server.name), description: server.description.clone() };
    match offer {
        Offer::Package(_, plan) | Offer::Remote(plan) => {
            Ok(Candidate { plan: plan.clone(), base, introduction: Some(introduction), bundle: None })
        }
        Offer::Bundle(bundle) => {
            let bytes = download(bundle, printer)?;
            read_bundle(bytes, &bundle.sha256, Path::new(&bundle.url), home)
        }
    }
}

/// Chooses on a terminal, and takes the first that works here otherwise.
fn choose<'a>(server: &'a RegistryServer, options: &Options, printer: &Printer) -> Result<&'a Offer, Error> {
    let nothing = || Error::failed(format!("`{}` has no packages and no remotes", server.name));
    let first = server.choose(&is_program).ok_or_else(nothing)?;
    let count = server.offers.len();
    if count == 1 {
        return Ok(first);
    }
    if options.yes || !ask::is_possible() {
        printer.note(&format!(
            "there are {count} ways to have this server; exai takes the first that works here: {}",
            describe(first)
        ));
        return Ok(first);
    }
    printer.note(&format!("there are {count} ways to have this server:"));
    let mut default = 1;
    for (offer, number) in server.offers.iter().zip(1..) {
        printer.note(&format!("{number}  {}", describe(offer)));
        if std::ptr::eq(offer, first) {
            default = number;
        }
    }
    loop {
        let answer = ask::ask(&format!("which one? [{default}] "), printer)?;
        let number = if answer.trim().is_empty() { Some(default) } else { answer.trim().parse().ok() };
        let chosen = number.and_then(|number: usize| server.offers.get(number.checked_sub(1)?));
        match chosen {
            Some(offer) => return Ok(offer),
            None => printer.warn(&format!("it takes a number from 1 to {count}")),
        }
    }
}

fn describe(offer: &Offer) -> String {
    match offer {
        Offer::Bundle(bundle) => format!("the bundle {}", bundle.url),
        Offer::Package(runner, plan) => {
            let missing =
                if is_program(runner.program()) { "" } else { " (this terminal does not find the program)" };
            match &plan.entry().transport {
                Transport::Stdio { command, args, .. } => format!("{}{missing}", show_command(command, args)),
                Transport::Url { url, .. } => url.clone(),
            }
        }
        Offer::Remote(plan) => match &plan.entry().transport {
            Transport::Url { url, .. } => format!("the server at {url}"),
            Transport::Stdio { command, args, .. } => show_command(command, args),
        },
    }
}

/// Fetches a bundle, which must have the hash that the registry knows.
fn download(bundle: &BundleDownload, printer: &Printer) -> Result<Vec<u8>, Error> {
    let failed = |what: &str| Error::failed(format!("the bundle {} {what}; nothing was added", bundle.url));
    let (_, registry_is_local) = find_registry()?;
    if bundle.url.starts_with("http://") && !registry_is_local {
        return Err(failed("is at no https URL"));
    }
    printer.progress(&format!("fetching {}…", bundle.url));
    let fetch =
        Fetch { timeout: DOWNLOAD_TIMEOUT, max_bytes: MAX_BUNDLE_BYTES, redirects: Redirects::AnyHost };
    let answer = fetch.get(&bundle.url);
    printer.clear_progress();
    let answer = answer.map_err(|what| failed(&what))?;
    if answer.status != 200 {
        return Err(failed(&format!("is not there: HTTP status {}", answer.status)));
    }
    if sha256(&answer.body) != bundle.sha256 {
        return Err(failed("is another file than the registry says: its SHA-256 differs"));
    }
    Ok(answer.body)
}
