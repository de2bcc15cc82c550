//! `exai start`

use std::time::Instant;

use exai_client::limits::START_TIMEOUT;
use exai_client::{Link, Takeover};
use exai_config::{Home, environment};
use exai_os::build;
use exai_proto::documents::Status;
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_proto::{exit, json};
use serde_json::Value;

use super::{ask, connector, unexpected};
use crate::error::Error;
use crate::limits::STOP_GRACE_S;
use crate::printer::{Printer, portable_json};

pub(crate) fn run(printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
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
    tell_how_to_connect(&mut link, connector.home(), printer)?;
    Ok(exit::DONE)
}

/// Tells a person how to connect a client.
pub(super) fn tell_how_to_connect(link: &mut Link, home: &Home, printer: &Printer) -> Result<(), Error> {
    let FromDaemon::Status { status } = ask(link, &ToDaemon::Status)? else {
        return Err(unexpected("status"));
    };
    for finding in status.findings.iter().filter(|finding| finding.severity != "info") {
        printer.warn(&finding.detail);
    }
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
