//! `exai start`

use std::io::{self, IsTerminal as _};
use std::time::Instant;

use exai_client::limits::START_TIMEOUT;
use exai_client::{Link, Takeover};
use exai_config::{Config, Home, environment};
use exai_os::build;
use exai_proto::documents::Status;
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_proto::{exit, json};
use exai_setup::client::{Client, clients};
use serde_json::Value;

use super::doctor::aside;
use super::{ask, connector, install, unexpected};
use crate::client_config;
use crate::error::Error;
use crate::limits::{CHECK_TIMEOUT, MAX_LISTED, STOP_GRACE_S};
use crate::printer::{Printer, portable_json};

pub(crate) fn run(printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    // The first daemon makes the token, and it stays.
    let is_first = !connector.home().token().exists();
    let found = connector.try_connect().is_some();
    if !found {
        for note in connector.home().prepare()? {
            printer.warn(&note.to_string());
        }
    }
    printer.progress("starting the daemon…");
    let (mut link, takeover) = connector.arrive(Instant::now() + START_TIMEOUT)?;
    printer.clear_progress();
    let (ours, daemon) = (build::version(), link.daemon().clone());
    let how = match &takeover {
        Takeover::Done { from } => format!("{ours} is running instead of {from}"),
        Takeover::Busy { .. } | Takeover::Kept { .. } => format!("{} is already running", daemon.build),
        Takeover::Needless if found => "is already running".to_owned(),
        Takeover::Needless => "is running".to_owned(),
    };
    printer.headline(&format!("exai {how} (pid {})", daemon.pid))?;
    let kept = match takeover {
        Takeover::Busy { calls: 1 } => Some("1 call is under way".to_owned()),
        Takeover::Busy { calls } => Some(format!("{calls} calls are under way")),
        Takeover::Kept { why } => Some(why),
        Takeover::Done { .. } | Takeover::Needless => None,
    };
    if let Some(why) = kept {
        printer.warn(&format!(
            "it was not replaced by exai {ours}: {why}; `exai restart` replaces it, and gives calls {STOP_GRACE_S} s"
        ));
    }
    let status = report_findings(&mut link, printer)?;
    match find_configured_clients() {
        Some(clients) if !clients.is_empty() => {
            printer.line(&format!("{}; `exai clients` says more", in_words(&clients)))?;
        }
        Some(_) => {
            printer.line("")?;
            printer.line(
                "No client has exai yet: `exai install --all` writes it into the clients that are here, `exai clients` \
                 lists them",
            )?;
            tell_how_to_connect(&status, connector.home(), printer)?;
        }
        None => tell_how_to_connect(&status, connector.home(), printer)?,
    }
    let has_tools = |config: Config| config.find_tools_server().is_some();
    if is_first && !exai_config::load(connector.home()).is_ok_and(has_tools) {
        printer.line("")?;
        printer.line(
            "`exai add --tools` adds the EXAI tools: another model's view for your coding agent, as chat, debug, codereview, \
             consensus and more",
        )?;
    }
    Ok(exit::DONE)
}

fn report_findings(link: &mut Link, printer: &Printer) -> Result<Status, Error> {
    let FromDaemon::Status { status } = ask(link, &ToDaemon::Status)? else {
        return Err(unexpected("status"));
    };
    for finding in status.findings.iter().filter(|finding| finding.severity != "info") {
        printer.warn(&finding.detail);
    }
    Ok(*status)
}

/// The names of the clients that have exai in their files. `None` without a terminal, where a program may read how to connect,
/// and if the files do not answer.
fn find_configured_clients() -> Option<Vec<&'static str>> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let find = || {
        let directories = client_config::find_directories().ok()?;
        let has_exai = |client: &&Client| {
            let (mut located, _) = client_config::locate_entries(client, &directories);
            located.append(&mut client_config::find_others(client, &directories, &located));
            located.iter().any(|one| install::has_entry(client, one).unwrap_or_default())
        };
        Some(clients().iter().filter(has_exai).map(|client| client.display_name).collect())
    };
    aside(find).recv_timeout(CHECK_TIMEOUT).ok().flatten()
}

/// `Cursor, Zed and 3 more have exai`.
fn in_words(clients: &[&str]) -> String {
    let shown = clients.iter().take(MAX_LISTED).copied().collect::<Vec<_>>().join(", ");
    match (clients.len(), clients.len().saturating_sub(MAX_LISTED)) {
        (1, _) => format!("{shown} has exai"),
        (_, 0) => format!("{shown} have exai"),
        (_, more) => format!("{shown} and {more} more have exai"),
    }
}

/// Tells a person how to connect a client by hand.
fn tell_how_to_connect(status: &Status, home: &Home, printer: &Printer) -> Result<(), Error> {
    let exe = std::env::current_exe().map_or_else(|_| "exai".to_owned(), |exe| exe.display().to_string());
    let exe = json::quote(&exe);
    // Clients pass few variables on: without these their shims would belong to another daemon.
    let mut kept = serde_json::Map::new();
    if environment::HOME.get().is_some() {
        kept.insert(environment::HOME.name.to_owned(), home.path().to_string_lossy().into());
    }
    if let Some(port) = environment::PORT.get() {
        kept.insert(environment::PORT.name.to_owned(), port.to_string_lossy().into());
    }
    let env = if kept.is_empty() { String::new() } else { format!(r#","env":{}"#, Value::Object(kept)) };
    let snippet = format!(r#"{{"mcpServers":{{"exai":{{"command":{exe},"args":["shim"]{env}}}}}}}"#);
    let snippet = portable_json(&snippet);
    printer.line("")?;
    printer.line("Connect a client: put this into its MCP configuration")?;
    printer.line(&format!("  {snippet}"))?;
    if let Some(address) = tcp_address(status) {
        printer.line("or, for clients that connect by URL,")?;
        printer.line(&format!("  http://{address}/mcp or ws://{address}/mcp"))?;
        printer
            .line(&format!("  with the token in {} as `Authorization: Bearer`", home.token().display()))?;
    }
    Ok(())
}

fn tcp_address(status: &Status) -> Option<&str> {
    let listeners = &status.daemon.as_ref()?.listeners;
    let tcp = || listeners.iter().filter(|listener| listener.kind == "tcp").map(|listener| &*listener.addr);
    tcp().find(|addr| addr.starts_with("127.")).or_else(|| tcp().next())
}
