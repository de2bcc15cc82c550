//! A pasted or piped block, or the file of a project: JSON with comments, or TOML, as clients and READMEs write it.

use super::entry_shape::{Family, MAX_NOTES, Notes, is_entry, read_entry};
use super::error::{Fault, SourceError};
use super::inputs::read_inputs;
use super::json::{Frame, read_json};
use super::plan::Plan;
use super::question::Question;
use super::toml::read_toml;
use super::tree::{MAX_TEXT_BYTES, Member, Node, Value};
use super::warning::Warning;
use crate::ServerEntry;

/// How many servers one text may have.
const MAX_SERVERS: usize = 1000;

/// How a pasted text is read.
#[derive(Clone, Copy)]
pub struct PasteOptions<'a> {
    /// The name for an entry that stands alone, without a name of its own.
    pub name: Option<&'a str>,
    /// Whether a program exists: by its path, or on `PATH`. A program with spaces in its path is not split then.
    pub is_program: &'a dyn Fn(&str) -> bool,
}

/// What a pasted text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pasted {
    /// The servers, in their order.
    pub servers: Vec<ServerEntry>,
    /// What `${input:ID}` in the servers asks for, by `ID`.
    pub questions: Vec<Question>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

impl Pasted {
    /// One plan for each server, with the questions that it asks. The warnings are not in them.
    pub fn into_plans(self) -> Vec<Plan> {
        let plan = |server: ServerEntry| {
            let used = super::plan::find_gaps(&server);
            let is_used = |question: &&Question| used.contains(&question.key);
            let questions = self.questions.iter().filter(is_used).cloned().collect();
            Plan::new(server, questions, Vec::new())
        };
        self.servers.into_iter().map(plan).collect()
    }
}

/// Reads a pasted or piped block, a `.mcp.json`, `.vscode/mcp.json` or `.cursor/mcp.json`.
///
/// It may be: `mcpServers` (most clients), `servers` with `inputs` (VS Code), `mcp` (opencode), `mcp.servers` (VS Code,
/// before 2025-06), `context_servers` (Zed), one bare entry, a bare map of entries, each in JSON or JSONC, with or without
/// the outer braces, or the TOML of Codex (`[mcp_servers.NAME]`). A Markdown fence around it is taken off.
///
/// A server that cannot be read is left out with a warning if there is another one, and is an error otherwise.
pub fn read_pasted(text: &str, options: PasteOptions<'_>) -> Result<Pasted, SourceError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(SourceError::new(format!("the text has more than {} MiB", MAX_TEXT_BYTES >> 20)));
    }
    read_document(text).and_then(|root| read_root(&root, text, options)).map_err(|fault| fault.locate(text))
}

/// What a text is written in.
enum Syntax {
    Json { braces: bool },
    Toml,
}

fn read_document(text: &str) -> Result<Node, Fault> {
    let (base, block) = find_block(text)?;
    match find_syntax(block) {
        Some(Syntax::Json { braces }) => {
            // `"name": { … },` is what remains when a member is copied.
            let block = if braces { block } else { block.trim_end().trim_end_matches(',') };
            read_json(block, &Frame { base, braces })
        }
        Some(Syntax::Toml) => read_toml(block, base),
        None => Err(Fault::new(base, "there is nothing to read")),
    }
}

/// The block in a Markdown fence if there is one, or all of the text, with its offset.
fn find_block(text: &str) -> Result<(usize, &str), Fault> {
    let mut found = None;
    let mut open: Option<(usize, &str)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        let content = line.trim_start();
        let fence = ["```", "~~~"].into_iter().find(|fence| content.starts_with(fence));
        match (open, fence) {
            (None, Some(fence)) if found.is_some() => {
                return Err(Fault::new(
                    at,
                    format!("the text has a second block in {fence}; give one alone"),
                ));
            }
            (None, Some(fence)) => open = Some((next, fence)),
            (Some((start, opened)), Some(fence)) if opened == fence => {
                found = Some((start, text.get(start..at).unwrap_or_default()));
                open = None;
            }
            _ => {}
        }
        at = next;
    }
    // A fence that is not closed reaches to the end.
    let unclosed = open.map(|(start, _)| (start, text.get(start..).unwrap_or_default()));
    let byte_order_mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let whole = (byte_order_mark, text.get(byte_order_mark..).unwrap_or_default());
    Ok(found.or(unclosed).unwrap_or(whole))
}

/// `None` if there is nothing but spaces and comments of JSON.
fn find_syntax(block: &str) -> Option<Syntax> {
    let mut rest = block.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after).trim_start();
        } else {
            break;
        }
    }
    let mut characters = rest.chars();
    Some(match characters.next()? {
        '{' => Syntax::Json { braces: false },
        '"' if is_key_of_toml(rest) => Syntax::Toml,
        '"' => Syntax::Json { braces: true },
        // A list of entries, or the head of a table.
        '[' => match characters.find(|character| !character.is_whitespace()) {
            Some('{' | ']' | '/') | None => Syntax::Json { braces: false },
            Some(_) => Syntax::Toml,
        },
        _ => Syntax::Toml,
    })
}

/// Whether `=` follows the text in quotes at the beginning.
fn is_key_of_toml(text: &str) -> bool {
    let after = text.get(1..).and_then(|text| text.split_once('"')).map(|(_, after)| after.trim_start());
    after.is_some_and(|after| after.starts_with(['=', '.']))
}

fn read_root(root: &Node, text: &str, options: PasteOptions<'_>) -> Result<Pasted, Fault> {
    let mut notes = Notes { is_program: options.is_program, warnings: Vec::new(), inputs: Vec::new() };
    let found = find_entries(root, options.name)?;
    if found.len() > MAX_SERVERS {
        return Err(Fault::new(root.at, format!("the text has more than {MAX_SERVERS} servers")));
    }
    let mut servers: Vec<ServerEntry> = Vec::new();
    let mut first_fault = None;
    for Found { name, at, node, family } in found {
        let read = if servers.iter().any(|server| server.name == name) {
            Err(Fault::new(at, "another server has the same name"))
        } else {
            read_entry(&name, node, family, &mut notes)
        };
        match read {
            Ok(server) => servers.push(server),
            Err(fault) => {
                if notes.warnings.len() < MAX_NOTES {
                    let why = Fault::new(fault.at, fault.what.clone()).locate(text);
                    notes.warnings.push(Warning::LeftOut { server: name, why });
                }
                first_fault = first_fault.or(Some(fault));
            }
        }
    }
    if let (Some(fault), true) = (first_fault, servers.is_empty()) {
        return Err(fault);
    }
    let nested = root.get("mcp").and_then(|mcp| mcp.get("inputs"));
    let questions = read_inputs(root.get("inputs").or(nested), &notes.inputs)?;
    Ok(Pasted { servers, questions, warnings: notes.warnings })
}

/// A server that is not yet read.
struct Found<'a> {
    name: String,
    at: usize,
    node: &'a Node,
    family: Family,
}

const CONTAINERS: [(&str, Family); 5] = [
    ("mcpServers", Family::Unknown),
    ("amp.mcpServers", Family::Unknown),
    ("context_servers", Family::Unknown),
    ("mcp_servers", Family::Codex),
    ("servers", Family::Unknown),
];

fn find_entries<'a>(root: &'a Node, name: Option<&str>) -> Result<Vec<Found<'a>>, Fault> {
    let mut found = Vec::new();
    if is_entry(root) {
        found.push(read_bare(root, name)?);
        return Ok(found);
    }
    let mut has_container = false;
    for (key, family) in CONTAINERS {
        if let Some(container) = root.get(key).filter(|container| !is_entry(container)) {
            has_container = true;
            collect(container, key, family, &mut found)?;
        }
    }
    if let Some(mcp) = root.get("mcp").filter(|mcp| !is_entry(mcp)) {
        has_container = true;
        match mcp.get("servers").filter(|servers| !is_entry(servers)) {
            Some(servers) => collect(servers, "servers", Family::Unknown, &mut found)?,
            None => collect(mcp, "mcp", Family::OpenCode, &mut found)?,
        }
    }
    if let Some(servers) = root.get("augment.advanced").and_then(|advanced| advanced.get("mcpServers")) {
        has_container = true;
        collect(servers, "mcpServers", Family::Unknown, &mut found)?;
    }
    if has_container {
        return Ok(found);
    }
    match &root.value {
        // Augment Code keeps a list.
        Value::List(_) => collect(root, "the text", Family::Unknown, &mut found)?,
        Value::Table(members) if members.iter().any(|member| is_entry(&member.node)) => {
            let tables = members.iter().filter(|member| member.node.members().is_some());
            found.extend(tables.map(|member| found_member(member, Family::Unknown)));
        }
        _ => {
            return Err(Fault::new(
                root.at,
                "there is no server in this text; expected `mcpServers`, `servers`, `mcp`, `context_servers`, `mcp_servers`, or \
                 an entry with `command` or `url`",
            ));
        }
    }
    Ok(found)
}

fn collect<'a>(
    container: &'a Node,
    key: &str,
    family: Family,
    found: &mut Vec<Found<'a>>,
) -> Result<(), Fault> {
    match &container.value {
        Value::Table(members) => found.extend(members.iter().map(|member| found_member(member, family))),
        Value::List(entries) => {
            for entry in entries {
                found.push(Found { family, ..read_bare(entry, None)? });
            }
        }
        _ => return Err(Fault::new(container.at, format!("`{key}` must be a table of servers"))),
    }
    Ok(())
}

fn found_member(member: &Member, family: Family) -> Found<'_> {
    Found { name: member.key.clone(), at: member.at, node: &member.node, family }
}

/// An entry without a key: its name stands in it, or the caller gives one.
fn read_bare<'a>(node: &'a Node, name: Option<&str>) -> Result<Found<'a>, Fault> {
    let own = node.text("name")?.filter(|own| !own.trim().is_empty());
    let name = name.or(own).ok_or_else(|| Fault::new(node.at, "this server has no name; give it one"))?;
    // opencode alone writes `environment` or a list.
    let is_opencode = node.get("environment").is_some()
        || node.get("command").is_some_and(|command| command.elements().is_some());
    let family = if is_opencode { Family::OpenCode } else { Family::Unknown };
    Ok(Found { name: name.to_owned(), at: node.at, node, family })
}

#[cfg(test)]
mod tests;
