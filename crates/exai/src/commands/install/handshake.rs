//! Tries entries that were just written: starts them as the client will, and asks for the tools.

use std::thread;
use std::time::{Duration, Instant};

use exai_client::Link;
use exai_proto::documents::ServerState;
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_setup::client::{Client, Launch, Switch};

use super::super::{ask, connector, count};
use super::trial_shim::TrialShim;
use crate::error::Error;
use crate::limits::{HANDSHAKE_TIMEOUT, MAX_TRIALS_AT_ONCE};
use crate::printer::Printer;

/// How often a server that starts is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// What an entry leads to.
struct Seen {
    tools: usize,
    /// The servers that the client may see and whose tools are not among these.
    unready: Vec<String>,
}

/// Says what the client will see by these entries. An entry that does not work is a warning: the file is right, and the cause
/// is elsewhere.
pub(in crate::commands) fn report(
    client: &Client,
    launches: &[&Launch],
    printer: &Printer,
) -> Result<(), Error> {
    printer.progress(&format!("starting exai as {} will…", client.display_name));
    let tried = try_all(launches);
    printer.clear_progress();
    let mut seen = Seen { tools: 0, unready: Vec::new() };
    let mut faults = Vec::new();
    for (launch, result) in launches.iter().zip(tried) {
        match result {
            Ok(one) => {
                seen.tools += one.tools;
                seen.unready.extend(one.unready);
            }
            Err(why) => {
                seen.unready.extend(launch.server.clone());
                faults.push(why);
            }
        }
    }
    if faults.len() == launches.len() {
        let why = faults.first().map_or("there is none", String::as_str);
        printer.warn(&format!("the entry does not work yet: {why}"));
        printer.hint("`exai doctor` says why");
        return Ok(());
    }
    let Seen { tools, unready } = seen;
    printer.line(&format!("{} will see {}", client.display_name, count(tools, "tool")))?;
    if !unready.is_empty() {
        let verb = if unready.len() == 1 { "was" } else { "were" };
        let number = count(unready.len(), "server");
        printer.warn(&format!("{number} {verb} not ready, and not counted: {}", unready.join(", ")));
        printer.hint("`exai status` says what they do");
    }
    if let Some(limit) = client.tool_limit.filter(|limit| tools > *limit) {
        printer.warn(&format!("{} takes about {limit} tools of all servers", client.display_name));
        printer.hint(&choose_fewer(client));
    }
    Ok(())
}

/// How a user lets a client see fewer tools.
pub(in crate::commands) fn choose_fewer(client: &Client) -> String {
    format!("`[clients.{}]` with `servers = [\"NAME\", …]` in config.toml chooses what it sees", client.id)
}

/// How a user switches an entry on that is switched off.
pub(in crate::commands) fn switch_on(client: &Client) -> String {
    let key = match client.switch {
        Switch::Enabled => "`enabled = true`",
        Switch::Disabled | Switch::None => "`disabled` away",
    };
    format!("switch exai on in the client, or in the file ({key} in the entry)")
}

/// Tries all entries, a few at a time.
fn try_all(launches: &[&Launch]) -> Vec<Result<Seen, String>> {
    let end = Instant::now() + HANDSHAKE_TIMEOUT;
    let mut tried = Vec::new();
    for several in launches.chunks(MAX_TRIALS_AT_ONCE) {
        thread::scope(|scope| {
            let started: Vec<_> = several.iter().map(|launch| scope.spawn(|| try_one(launch, end))).collect();
            let failed = || Err("BUG: the trial panicked".to_owned());
            tried.extend(started.into_iter().map(|one| one.join().unwrap_or_else(|_| failed())));
        });
    }
    tried
}

/// Asks for the tools until all servers have said theirs that start now.
fn try_one(launch: &Launch, end: Instant) -> Result<Seen, String> {
    let mut shim = TrialShim::start(launch, end)?;
    // The list of one server waits for the server itself.
    let mut watch = if launch.server.is_some() { None } else { Watch::begin(&launch.client) };
    loop {
        // What is ready before the list is asked for is in the list.
        let silent = watch.as_mut().map_or_else(Vec::new, Watch::find_silent);
        let tools = shim.count_tools()?;
        let is_coming = |(_, state): &(String, ServerState)| {
            matches!(state, ServerState::Idle | ServerState::Starting | ServerState::Stopping)
        };
        if !silent.iter().any(is_coming) || Instant::now() >= end {
            return Ok(Seen { tools, unready: silent.into_iter().map(|(name, _)| name).collect() });
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Looks at the servers that a client may see.
struct Watch {
    link: Link,
    names: Vec<String>,
}

impl Watch {
    /// `None` if the daemon does not say.
    fn begin(client: &str) -> Option<Self> {
        let mut link = connector().ok()?.try_connect()?;
        let question = ToDaemon::Servers { client: Some(client.to_owned()) };
        let Ok(FromDaemon::Servers { servers }) = ask(&mut link, &question) else { return None };
        Some(Watch { link, names: servers.servers.into_iter().map(|server| server.name).collect() })
    }

    /// The servers that are not ready and whose tools nobody knows, with their states.
    fn find_silent(&mut self) -> Vec<(String, ServerState)> {
        let Ok(FromDaemon::Status { status }) = ask(&mut self.link, &ToDaemon::Status) else {
            return Vec::new();
        };
        let seen = status.servers.into_iter().filter(|server| self.names.contains(&server.name));
        // A server that is ready and has no list has no tools.
        let silent = seen.filter(|server| server.tools.is_none() && server.state != ServerState::Ready);
        silent.map(|server| (server.name, server.state)).collect()
    }
}
