//! One server, as the configuration of any client describes it.

use std::time::Duration;

use super::command_line::{split_command_line, split_words};
use super::error::Fault;
use super::tree::{Node, Value};
use super::variables::translate;
use super::warning::Warning;
use crate::{ServerEntry, ToolChoice, Transport};

/// How many inputs and warnings are collected. Each is compared with those before.
pub(crate) const MAX_NOTES: usize = 200;

/// What is collected while servers are read.
pub(crate) struct Notes<'a> {
    /// Whether a program exists.
    pub(crate) is_program: &'a dyn Fn(&str) -> bool,
    pub(crate) warnings: Vec<Warning>,
    /// The `ID` of each `${input:ID}`, in the order of their first use.
    pub(crate) inputs: Vec<String>,
}

/// In what unit the client that has written an entry counts `timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Only the entry itself can tell.
    Unknown,
    /// opencode: `timeout` is in milliseconds, and is that of the start. <https://opencode.ai/docs/mcp-servers/>
    OpenCode,
    /// Codex: `startup_timeout_sec` and `tool_timeout_sec`.
    Codex,
}

const URL_KEYS: [&str; 4] = ["httpUrl", "url", "serverUrl", "uri"];

/// Whether a value looks like one server.
pub(crate) fn is_entry(node: &Node) -> bool {
    let has_command = node.get("command").is_some_and(|command| match &command.value {
        Value::Text(_) | Value::List(_) => true,
        // Zed, before 2025: `"command": {"path": …}`.
        Value::Table(_) => command.get("path").is_some_and(|path| path.as_text().is_some()),
        _ => false,
    });
    has_command || URL_KEYS.iter().any(|key| node.get(key).is_some_and(|url| url.as_text().is_some()))
}

/// Reads one server.
pub(crate) fn read_entry(
    name: &str,
    node: &Node,
    family: Family,
    notes: &mut Notes<'_>,
) -> Result<ServerEntry, Fault> {
    if node.members().is_none() {
        return Err(Fault::new(node.at, "a server must be a table"));
    }
    let mut reader = Reader { name, node, notes };
    let transport = reader.transport()?;
    let mut entry = ServerEntry::new(name, transport);
    let off = node.flag("disabled")?.unwrap_or(false) || !node.flag("enabled")?.unwrap_or(true);
    entry.disabled = off;
    reader.timeouts(family, &mut entry)?;
    entry.tools = reader.tools()?;
    Ok(entry)
}

struct Reader<'a, 'n, 'p> {
    name: &'a str,
    node: &'a Node,
    notes: &'n mut Notes<'p>,
}

impl Reader<'_, '_, '_> {
    fn transport(&mut self) -> Result<Transport, Fault> {
        let node = self.node;
        let kind = node.text_any(&["type", "transport"])?.unwrap_or_default().to_ascii_lowercase();
        let wants_url = match kind.as_str() {
            "stdio" | "local" | "custom" | "command" => Some(false),
            "http" | "sse" | "remote" | "ws" | "websocket" | "streamable-http" | "streamable_http"
            | "streamablehttp" => Some(true),
            _ => None,
        };
        let (command, url) = (node.get("command"), node.get_any(&URL_KEYS));
        match (command, url) {
            (Some(_), Some(_)) if wants_url == Some(true) => self.url(),
            (Some(command), _) if wants_url != Some(true) => self.stdio(command),
            (None, Some(_)) if wants_url != Some(false) => self.url(),
            (Some(_), _) => {
                Err(Fault::new(node.at, format!("`{}` has the type of a URL, and no `url`", self.name)))
            }
            (None, Some(_)) => Err(Fault::new(
                node.at,
                format!("`{}` has the type of a command, and no `command`", self.name),
            )),
            (None, None) => {
                Err(Fault::new(node.at, format!("`{}` has neither a command nor a URL", self.name)))
            }
        }
    }

    fn stdio(&mut self, command: &Node) -> Result<Transport, Fault> {
        let node = self.node;
        let mut words = match &command.value {
            Value::Text(line) => self.program(line, command.at)?,
            Value::List(_) => {
                let words = node.texts("command")?.unwrap_or_default();
                words.iter().map(|word| self.translate(word)).collect()
            }
            Value::Table(_) => {
                let path = command.text("path")?.unwrap_or_default();
                let mut words = vec![self.translate(path)];
                words.extend(self.arguments(command)?);
                words
            }
            _ => return Err(Fault::new(command.at, "`command` must be a text")),
        };
        words.extend(self.arguments(node)?);
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.trim().is_empty());
        let program = program.ok_or_else(|| Fault::new(command.at, "`command` is empty"))?;
        let mut env = Vec::new();
        for (table, key) in [(command, "env"), (node, "env"), (node, "environment")] {
            env.extend(self.pairs(table, key)?);
        }
        let cwd = node.text_any(&["cwd", "workingDirectory", "working_directory"])?;
        let env_file = node.text_any(&["envFile", "env_file"])?;
        Ok(Transport::Stdio {
            command: program,
            args: words.collect(),
            env,
            cwd: cwd.map(|cwd| self.translate(cwd)),
            env_file: env_file.map(|file| self.translate(file)),
        })
    }

    /// The words of `command`, which may be a whole command line.
    fn program(&mut self, line: &str, at: usize) -> Result<Vec<String>, Fault> {
        if line.contains('\0') {
            return Err(Fault::new(at, "`command` contains a NUL character"));
        }
        let server = self.name.to_owned();
        let Some(words) = split_command_line(line, self.notes.is_program) else {
            if line.trim().contains(char::is_whitespace) && !(self.notes.is_program)(line.trim()) {
                self.notes.warnings.push(Warning::UnclearCommand { server });
            }
            return Ok(vec![self.translate(line.trim())]);
        };
        let program = words.first().cloned().unwrap_or_default();
        let arguments = words.len().saturating_sub(1);
        self.notes.warnings.push(Warning::SplitCommand { server, program, arguments });
        Ok(words.iter().map(|word| self.translate(word)).collect())
    }

    /// `args`, which Augment Code calls `arguments` and writes as one text.
    fn arguments(&mut self, node: &Node) -> Result<Vec<String>, Fault> {
        let Some(key) = ["args", "arguments"].into_iter().find(|key| node.get(key).is_some()) else {
            return Ok(Vec::new());
        };
        let words = match node.get(key) {
            Some(Node { value: Value::Text(line), at }) => split_words(line, line.contains(":\\"))
                .ok_or_else(|| Fault::new(*at, format!("`{key}` has a quote that is not closed")))?,
            _ => node.texts(key)?.unwrap_or_default(),
        };
        Ok(words.iter().map(|word| self.translate(word)).collect())
    }

    fn url(&mut self) -> Result<Transport, Fault> {
        let node = self.node;
        let url = node.text_any(&URL_KEYS)?.unwrap_or_default().trim();
        let url = self.translate(url);
        if url.is_empty() {
            return Err(Fault::new(node.at, format!("the URL of `{}` is empty", self.name)));
        }
        let mut headers = Vec::new();
        for key in ["headers", "http_headers"] {
            headers.extend(self.pairs(node, key)?);
        }
        // Codex: <https://developers.openai.com/codex/mcp>
        for (header, variable) in node.pairs("env_http_headers")? {
            headers.push((header, format!("${{env:{variable}}}")));
        }
        if let Some(variable) = node.text("bearer_token_env_var")? {
            headers.push(("Authorization".to_owned(), format!("Bearer ${{env:{variable}}}")));
        }
        Ok(Transport::Url { url, headers })
    }

    fn pairs(&mut self, node: &Node, key: &str) -> Result<Vec<(String, String)>, Fault> {
        let pairs = node.pairs(key)?;
        // What no system takes; names are not checked further, so that no server is lost for one of them.
        let is_wrong = |name: &String| name.is_empty() || name.contains(['=', '\0', '\r', '\n']);
        if pairs.iter().any(|(name, _)| is_wrong(name)) {
            return Err(Fault::new(
                node.get(key).map_or(node.at, |pairs| pairs.at),
                format!("a name in `{key}` is not valid"),
            ));
        }
        let pairs = pairs.into_iter();
        Ok(pairs.map(|(name, value)| (name, self.translate(&value))).collect())
    }

    fn timeouts(&mut self, family: Family, entry: &mut ServerEntry) -> Result<(), Fault> {
        let node = self.node;
        let seconds = |key: &str| Ok(node.number(key)?.and_then(|seconds| duration(seconds, 1.0)));
        entry.start_timeout = seconds("startup_timeout_sec")?;
        entry.call_timeout = seconds("tool_timeout_sec")?;
        if let Some(milliseconds) = node.number("startup_timeout_ms")? {
            entry.start_timeout = entry.start_timeout.or(duration(milliseconds, 1000.0));
        }
        let Some(number) = node.number("timeout")? else { return Ok(()) };
        let has = |keys: &[&str]| node.get_any(keys).is_some();
        match family {
            Family::OpenCode => entry.start_timeout = duration(number, 1000.0),
            // Gemini CLI and Qwen Code: <https://geminicli.com/docs/tools/mcp-server/>
            _ if has(&["httpUrl", "trust", "includeTools", "excludeTools"]) => {
                entry.call_timeout = duration(number, 1000.0);
            }
            // Cline and Roo Code: <https://docs.cline.bot/mcp/mcp-overview>, <https://docs.roocode.com/features/mcp/using-mcp-in-roo>
            _ if has(&["autoApprove", "alwaysAllow"]) || node.text("type")? == Some("streamableHttp") => {
                entry.call_timeout = duration(number, 1.0);
            }
            _ => self.notes.warnings.push(Warning::UnclearTimeout { server: self.name.to_owned() }),
        }
        Ok(())
    }

    fn tools(&self) -> Result<ToolChoice, Fault> {
        let list = |keys: &[&str]| -> Result<Vec<String>, Fault> {
            let key =
                keys.iter().find(|key| self.node.get(key).is_some_and(|node| node.elements().is_some()));
            Ok(key.map_or(Ok(None), |key| self.node.texts(key))?.unwrap_or_default())
        };
        // Gemini CLI, Codex, Copilot CLI.
        let mut allow = list(&["includeTools", "enabled_tools", "tools"])?;
        if allow.iter().any(|tool| tool == "*") {
            allow.clear();
        }
        Ok(ToolChoice { allow, deny: list(&["excludeTools", "disabled_tools", "disabledTools"])? })
    }

    fn translate(&mut self, text: &str) -> String {
        let translated = translate(text);
        for input in translated.inputs {
            if self.notes.inputs.len() < MAX_NOTES && !self.notes.inputs.contains(&input) {
                self.notes.inputs.push(input);
            }
        }
        for reference in translated.unresolved {
            let warning = Warning::Unresolved { server: self.name.to_owned(), reference };
            if self.notes.warnings.len() < MAX_NOTES && !self.notes.warnings.contains(&warning) {
                self.notes.warnings.push(warning);
            }
        }
        translated.text
    }
}

/// A time in the unit of which a second has `per_second`; `None` for 0 and for more than a year, which mean nothing.
fn duration(number: f64, per_second: f64) -> Option<Duration> {
    let seconds = number / per_second;
    (seconds > 0.0 && seconds < 31_536_000.0).then(|| Duration::from_secs_f64(seconds))
}
