//! `exai start`

use std::time::Instant;

use exai_client::door::START_TIME;
use exai_client::{Link, Takeover};
use exai_config::{Home, environment};
use exai_os::build;
use exai_proto::documents::Status;
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_proto::{exit, json};

use super::stop::GRACE_S;
use super::{ask, door, unexpected};
use crate::error::Error;
use crate::printer::{Printer, portable_json};

pub(crate) fn run(printer: &Printer) -> Result<u8, Error> {
    let door = door()?;
    let found = door.try_connect().is_some();
    if !found {
        for note in door.home().prepare()? {
            printer.warn(&note.to_string());
        }
    }
    printer.progress("starting the daemon…");
    let (mut link, takeover) = door.arrive(Instant::now() + START_TIME)?;
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
            "it was not replaced by exai {ours}: {why}; `exai restart` replaces it, and gives calls {GRACE_S} s"
        ));
    }
    tell_how_to_connect(&mut link, door.home(), printer)?;
    Ok(exit::DONE)
}

/// What a person does next: connect a client.
pub(super) fn tell_how_to_connect(link: &mut Link, home: &Home, printer: &Printer) -> Result<(), Error> {
    let FromDaemon::Status { status } = ask(link, &ToDaemon::Status)? else {
        return Err(unexpected("status"));
    };
    for finding in status.findings.iter().filter(|finding| finding.severity != "info") {
        printer.warn(&finding.detail);
    }
    let exe = std::env::current_exe().map_or_else(|_| "exai".to_owned(), |exe| exe.display().to_string());
    let exe = json::quote(&exe);
    // Clients hand few variables on: without these their shims would be those of another daemon.
    let named = environment::HOME.get().map(|_| (environment::HOME, home.path().as_os_str().to_owned()));
    let port = environment::PORT.get().map(|port| (environment::PORT, port));
    let kept = named.into_iter().chain(port);
    let kept = kept
        .map(|(variable, value)| format!("\"{}\":{}", variable.name, json::quote(&value.to_string_lossy())));
    let kept = kept.collect::<Vec<_>>().join(",");
    let env = if kept.is_empty() { kept } else { format!(r#","env":{{{kept}}}"#) };
    let snippet = format!(r#"{{"mcpServers":{{"exai":{{"command":{exe},"args":["shim"]{env}}}}}}}"#);
    let snippet = portable_json(&snippet);
    printer.line("")?;
    printer.line("Connect a client: put this into its MCP configuration")?;
    printer.line(&format!("  {snippet}"))?;
    if let Some(address) = tcp_address(&status) {
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
