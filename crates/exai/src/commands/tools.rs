//! `exai tools`

use std::time::Duration;

use exai_proto::documents::SCHEMA;
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_proto::pages::{Next, NoList, Pages};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::talk::{self, Talk};
use super::{ask, connector, count, foreign_json, join_or_start, unexpected};
use crate::cli::ToolsArgs;
use crate::error::Error;
use crate::limits::TOOLS_TIMEOUT;
use crate::printer::Printer;

/// The tools of one server, as it described them.
#[derive(Default)]
struct Listed {
    tools: Vec<Box<RawValue>>,
    /// The server has more tools, but its list does not come to an end.
    cut: Option<String>,
    /// Why the list is incomplete.
    missing: Option<Error>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    tools: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    server: &'a str,
    tool: &'a RawValue,
}

#[derive(Deserialize)]
struct Shown {
    name: String,
    description: Option<String>,
}

pub(crate) fn run(args: ToolsArgs, printer: &Printer) -> Result<u8, Error> {
    let client = args.client.as_deref();
    let servers = match (args.server, client) {
        (Some(server), None) => vec![server],
        (Some(server), Some(client)) => vec![seen_server(server, client, printer)?],
        (None, client) => all_servers(client, printer)?,
    };
    let several = servers.len() > 1;
    let patience = several.then_some(TOOLS_TIMEOUT);
    // Servers start side by side; a slow one must not make the others wait.
    let lists: Vec<(String, Listed)> = std::thread::scope(|scope| {
        let tasks: Vec<_> = servers
            .into_iter()
            .map(|server| {
                let task = scope.spawn({
                    let server = server.clone();
                    move || tools_of(&server, client, patience)
                });
                (server, task)
            })
            .collect();
        printer.progress("asking the servers…");
        let failed =
            || Listed { missing: Some(Error::failed("BUG: the task panicked")), ..Listed::default() };
        tasks.into_iter().map(|(server, task)| (server, task.join().unwrap_or_else(|_| failed()))).collect()
    });
    printer.clear_progress();
    let entries: Vec<Entry<'_>> = lists
        .iter()
        .flat_map(|(server, listed)| listed.tools.iter().map(move |tool| Entry { server, tool }))
        .collect();
    // There is nothing to show of a single server that has said nothing.
    let alone = lists.first().filter(|_| !several).and_then(|(_, listed)| listed.missing.as_ref());
    if alone.is_none() || !entries.is_empty() {
        if let Some(client) = client.filter(|_| !args.json.json) {
            let servers = count(lists.len(), "server");
            printer.note(&format!("{client} sees {} of {servers}", count(entries.len(), "tool")));
        }
        if args.json.json {
            printer.json(&Document { schema: SCHEMA, tools: entries })?;
        } else {
            printer.table(&entries.iter().filter_map(row).collect::<Vec<_>>())?;
        }
    }
    let mut code = exit::DONE;
    for (server, Listed { cut, missing, .. }) in lists {
        if let Some(words) = cut {
            printer.warn(&format!("{server}: {words}"));
        }
        match missing {
            None => {}
            Some(error) if !several => return Err(error),
            Some(error) => {
                printer.warn(&format!("{server}: {}", error.what()));
                code = exit::FAILED;
            }
        }
    }
    Ok(code)
}

/// The servers that are configured, or those that a client may see.
fn all_servers(client: Option<&str>, printer: &Printer) -> Result<Vec<String>, Error> {
    let mut link = join_or_start(&connector()?, printer)?;
    match ask(&mut link, &ToDaemon::Servers { client: client.map(ToOwned::to_owned) })? {
        FromDaemon::Servers { servers } => {
            Ok(servers.servers.into_iter().map(|server| server.name).collect())
        }
        _ => Err(unexpected("servers")),
    }
}

/// The server, if the client may see it.
fn seen_server(server: String, client: &str, printer: &Printer) -> Result<String, Error> {
    if all_servers(Some(client), printer)?.contains(&server) {
        return Ok(server);
    }
    let hint =
        format!("`exai tools --client {client}` lists what it sees; `[clients]` in config.toml decides that");
    Err(Error::failed(format!("{client} sees no server called \"{server}\"")).hint(hint))
}

/// How many tools a server lists within this time.
pub(super) fn count_tools(server: &str, patience: Duration) -> Result<usize, Error> {
    let Listed { tools, missing, .. } = tools_of(server, None, Some(patience));
    missing.map_or(Ok(tools.len()), Err)
}

/// The tools that a server lists within this time, those that the client may see, and why the list is incomplete.
fn tools_of(server: &str, client: Option<&str>, patience: Option<Duration>) -> Listed {
    let mut pages = Pages::new("tools");
    let ended = read((server, client), patience, &mut pages);
    let items = pages.into_items();
    // An item is a part of a message that was checked.
    let tools = items.iter().filter_map(|item| serde_json::from_slice(item).ok()).collect();
    match ended {
        Ok(cut) => Listed { tools, cut, missing: None },
        Err(error) => Listed { tools, cut: None, missing: Some(error) },
    }
}

/// Reads a list to its end. Returns why it was cut off before its end.
fn read(
    (server, client): (&str, Option<&str>),
    patience: Option<Duration>,
    pages: &mut Pages,
) -> Result<Option<String>, Error> {
    let printer = Printer::new();
    let mut talk =
        Talk::begin((server, client), patience, &printer)?.map_err(|error| talk::sentence(&error))?;
    let mut params = "{}".to_owned();
    loop {
        let result = talk.ask("tools/list", &params, &printer)?.map_err(|error| talk::sentence(&error))?;
        match pages.take(&result, 0..result.len()) {
            Ok(Next::Page(next)) => params = next,
            Ok(Next::End) => return Ok(None),
            Ok(Next::Cut(cut)) => {
                return Ok(Some(format!("the server {cut} tools/list; what came before is shown")));
            }
            Err(NoList) => return Err(Error::failed("the server's list of tools is none")),
        }
    }
}

fn row(entry: &Entry<'_>) -> Option<Vec<String>> {
    let shown: Shown = foreign_json::read(entry.tool.get().as_bytes()).ok()?;
    let description = shown.description.unwrap_or_default();
    let first: String = description.lines().next().unwrap_or_default().chars().take(100).collect();
    Some(vec![entry.server.to_owned(), shown.name, first])
}
