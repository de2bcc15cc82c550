//! `exai tools`

use exai_proto::documents::SCHEMA;
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::talk::{self, Talk};
use super::{ask, door, foreign_json, join_or_start, unexpected};
use crate::cli::ToolsArgs;
use crate::error::Error;
use crate::printer::Printer;

/// Nobody has so many pages; a server that repeats itself must not keep us.
const PAGES: usize = 1000;

/// The tools of one server, as it described them.
type Tools = Vec<Box<RawValue>>;

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
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    name: String,
    description: Option<String>,
}

pub(crate) fn run(args: ToolsArgs, printer: &Printer) -> Result<u8, Error> {
    let servers = match args.server {
        Some(server) => vec![server],
        None => all_servers(printer)?,
    };
    // Servers start side by side; a slow one must not make the others wait.
    let lists: Vec<(String, Result<Tools, Error>)> = std::thread::scope(|scope| {
        let tasks: Vec<_> = servers
            .into_iter()
            .map(|server| {
                let task = scope.spawn({
                    let server = server.clone();
                    move || tools_of(&server)
                });
                (server, task)
            })
            .collect();
        printer.progress("asking the servers…");
        let failed = || Err(Error::failed("BUG: the task panicked"));
        tasks.into_iter().map(|(server, task)| (server, task.join().unwrap_or_else(|_| failed()))).collect()
    });
    printer.clear_progress();
    let listed = lists.iter().filter_map(|(server, tools)| Some((server, tools.as_ref().ok()?)));
    let entries: Vec<Entry<'_>> =
        listed.flat_map(|(server, tools)| tools.iter().map(move |tool| Entry { server, tool })).collect();
    if args.json.json {
        printer.json(&Document { schema: SCHEMA, tools: entries })?;
    } else {
        printer.table(&entries.iter().filter_map(row).collect::<Vec<_>>())?;
    }
    let mut code = exit::DONE;
    let several = lists.len() > 1;
    for (server, tools) in lists {
        match tools {
            Ok(_) => {}
            Err(error) if !several => return Err(error),
            Err(error) => {
                printer.warn(&format!("{server}: {}", error.lines().map_or("", |(what, _)| what)));
                code = exit::FAILED;
            }
        }
    }
    Ok(code)
}

fn all_servers(printer: &Printer) -> Result<Vec<String>, Error> {
    let mut link = join_or_start(&door()?, printer)?;
    match ask(&mut link, &ToDaemon::Servers)? {
        FromDaemon::Servers { servers } => {
            Ok(servers.servers.into_iter().map(|server| server.name).collect())
        }
        _ => Err(unexpected("servers")),
    }
}

fn tools_of(server: &str) -> Result<Tools, Error> {
    let printer = Printer::new();
    let mut talk = Talk::begin(server, &printer)?.map_err(|error| talk::sentence(&error))?;
    let mut tools = Vec::new();
    let mut params = "{}".to_owned();
    for _ in 0..PAGES {
        let result = talk.ask("tools/list", &params, &printer)?.map_err(|error| talk::sentence(&error))?;
        let page: Page = serde_json::from_slice(&result)
            .map_err(|error| Error::failed(format!("the server's list of tools is none: {error}")))?;
        tools.extend(page.tools);
        match page.next_cursor {
            Some(cursor) => params = serde_json::json!({ "cursor": cursor }).to_string(),
            None => return Ok(tools),
        }
    }
    Err(Error::failed("the server's list of tools does not end"))
}

fn row(entry: &Entry<'_>) -> Option<Vec<String>> {
    let shown: Shown = foreign_json::read(entry.tool.get().as_bytes()).ok()?;
    let description = shown.description.unwrap_or_default();
    let first: String = description.lines().next().unwrap_or_default().chars().take(100).collect();
    Some(vec![entry.server.to_owned(), shown.name, first])
}
