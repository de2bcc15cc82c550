//! A pasted or piped block, or the file of a project: JSON with comments, or TOML, as clients and READMEs write it.

use super::document::{read_json, read_toml};
use super::error::SourceError;
use super::inputs::read_inputs;
use super::plan::Plan;
use super::question::Question;
use super::warning::Warning;
use crate::ServerEntry;
use crate::fault::Fault;
use crate::node::{Document, Member, Node};
use crate::read_entry::{MAX_NOTES, Notes, ReadRules, TimeoutMeaning, is_entry, read_entry};
use crate::variables::OF_ANY_CLIENT;

/// How long a text may be, in bytes. The state file of a busy client has 1 MiB.
const MAX_TEXT_BYTES: usize = 8 << 20;

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
    let frame = find_frame(text).map_err(|fault| fault.locate(text))?;
    let document = frame.read();
    document
        .and_then(|document| read_root(document.root(), &frame, options))
        .map_err(|fault| frame.locate(fault))
}

/// What a text is written in.
enum Syntax {
    Json { braces: bool },
    Toml,
}

/// The block of a text that is read.
struct Frame<'t> {
    text: &'t str,
    block: &'t str,
    /// Where the block begins in the text.
    base: usize,
    syntax: Syntax,
}

fn find_frame(text: &str) -> Result<Frame<'_>, Fault> {
    let (base, block) = find_block(text)?;
    let syntax = find_syntax(block).ok_or_else(|| Fault::new(base, "there is nothing to read"))?;
    Ok(Frame { text, block, base, syntax })
}

impl Frame<'_> {
    fn read(&self) -> Result<Document, Fault> {
        match self.syntax {
            // `"name": { … },` is what remains when a member is copied.
            Syntax::Json { braces: false } => read_json(self.block.trim_end().trim_end_matches(',')),
            Syntax::Json { braces: true } => read_json(&format!("{{{}\n}}", self.block)),
            Syntax::Toml => read_toml(self.block),
        }
    }

    /// The error with its place in the whole text, from one with its place in what was read.
    fn locate(&self, fault: Fault) -> SourceError {
        let added = usize::from(matches!(self.syntax, Syntax::Json { braces: true }));
        Fault::new(self.base + fault.at.saturating_sub(added), fault.what).locate(self.text)
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

fn read_root(root: Node<'_>, frame: &Frame<'_>, options: PasteOptions<'_>) -> Result<Pasted, Fault> {
    let mut notes = Notes { is_program: Some(options.is_program), ..Notes::default() };
    let found = find_entries(root, options.name)?;
    if found.len() > MAX_SERVERS {
        return Err(Fault::new(root.at, format!("the text has more than {MAX_SERVERS} servers")));
    }
    let mut servers: Vec<ServerEntry> = Vec::new();
    let mut first_fault = None;
    for Found { name, at, node, timeout } in found {
        let read = if servers.iter().any(|server| server.name == name) {
            Err(Fault::new(at, "another server has the same name"))
        } else {
            let rules = ReadRules { variables: OF_ANY_CLIENT, timeout, splits_command: true };
            read_entry(&name, &format!("`{name}`"), node, &rules, &mut notes)
        };
        match read {
            Ok(server) => servers.push(server),
            Err(fault) => {
                if notes.warnings.len() < MAX_NOTES {
                    let why = frame.locate(Fault::new(fault.at, fault.what.clone()));
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
    node: Node<'a>,
    timeout: TimeoutMeaning,
}

const CONTAINERS: [&str; 5] = ["mcpServers", "amp.mcpServers", "context_servers", "mcp_servers", "servers"];

fn find_entries<'a>(root: Node<'a>, name: Option<&str>) -> Result<Vec<Found<'a>>, Fault> {
    let mut found = Vec::new();
    if is_entry(root) {
        found.push(read_bare(root, name)?);
        return Ok(found);
    }
    let mut has_container = false;
    for key in CONTAINERS {
        if let Some(container) = root.get(key).filter(|container| !is_entry(*container)) {
            has_container = true;
            collect(container, key, TimeoutMeaning::OfEntry, &mut found)?;
        }
    }
    if let Some(mcp) = root.get("mcp").filter(|mcp| !is_entry(*mcp)) {
        has_container = true;
        match mcp.get("servers").filter(|servers| !is_entry(*servers)) {
            Some(servers) => collect(servers, "servers", TimeoutMeaning::OfEntry, &mut found)?,
            None => collect(mcp, "mcp", TimeoutMeaning::StartMilliseconds, &mut found)?,
        }
    }
    if let Some(servers) = root.get("augment.advanced").and_then(|advanced| advanced.get("mcpServers")) {
        has_container = true;
        collect(servers, "mcpServers", TimeoutMeaning::OfEntry, &mut found)?;
    }
    if has_container {
        return Ok(found);
    }
    match (root.elements(), root.members()) {
        // Augment Code keeps a list.
        (Some(_), _) => collect(root, "the text", TimeoutMeaning::OfEntry, &mut found)?,
        (_, Some(members)) if members.iter().any(|member| is_entry(member.node)) => {
            let maps = members.into_iter().filter(|member| member.node.members().is_some());
            found.extend(maps.map(|member| found_member(member, TimeoutMeaning::OfEntry)));
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
    container: Node<'a>,
    key: &str,
    timeout: TimeoutMeaning,
    found: &mut Vec<Found<'a>>,
) -> Result<(), Fault> {
    if let Some(members) = container.members() {
        found.extend(members.into_iter().map(|member| found_member(member, timeout)));
        return Ok(());
    }
    let wrong = || Fault::new(container.at, format!("`{key}` must be a table of servers"));
    for entry in container.elements().ok_or_else(wrong)? {
        found.push(Found { timeout, ..read_bare(entry, None)? });
    }
    Ok(())
}

fn found_member(member: Member<'_>, timeout: TimeoutMeaning) -> Found<'_> {
    Found { name: member.key.to_owned(), at: member.at, node: member.node, timeout }
}

/// An entry without a key: its name stands in it, or the caller gives one.
fn read_bare<'a>(node: Node<'a>, name: Option<&str>) -> Result<Found<'a>, Fault> {
    let own = node.text("name")?.filter(|own| !own.trim().is_empty());
    let name = name.or(own).ok_or_else(|| Fault::new(node.at, "this server has no name; give it one"))?;
    // opencode alone writes `environment` or a list.
    let is_opencode = node.get("environment").is_some()
        || node.get("command").is_some_and(|command| command.elements().is_some());
    let timeout = if is_opencode { TimeoutMeaning::StartMilliseconds } else { TimeoutMeaning::OfEntry };
    Ok(Found { name: name.to_owned(), at: node.at, node, timeout })
}

#[cfg(test)]
mod tests;
