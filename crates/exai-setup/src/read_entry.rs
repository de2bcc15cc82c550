//! One server, as the configuration of a client describes it.
//!
//! One reader knows the keys of all clients: two clients never mean different things with one key, but for `timeout`.

mod rules;
mod timeouts;

pub use rules::{ReadRules, TimeoutMeaning};

use self::timeouts::read_timeouts;
use crate::command_line::{split_command_line, split_words};
use crate::fault::Fault;
use crate::node::Node;
use crate::source::Warning;
use crate::variables::translate;
use crate::{ServerEntry, ToolChoice, Transport, Value};

/// How many inputs and warnings are collected. Each is compared with those before.
pub(crate) const MAX_NOTES: usize = 200;

/// What is collected while servers are read.
#[derive(Default)]
pub(crate) struct Notes<'a> {
    /// Whether a program exists, so that a command may be a whole command line whatever the rules say. `None` if that is
    /// not asked.
    pub(crate) is_program: Option<&'a dyn Fn(&str) -> bool>,
    pub(crate) warnings: Vec<Warning>,
    /// The `ID` of each `${input:ID}`, in the order of their first use.
    pub(crate) inputs: Vec<String>,
}

const COMMAND_KEYS: [&str; 2] = ["command", "cmd"];
const URL_KEYS: [&str; 4] = ["httpUrl", "url", "serverUrl", "uri"];

/// Whether a value looks like one server.
pub(crate) fn is_entry(node: Node<'_>) -> bool {
    let has_command = node.get("command").is_some_and(|command| match command.value {
        Value::Text(_) | Value::List(_) => true,
        // Zed, before 2025: `"command": {"path": …}`.
        Value::Map(_) => command.get("path").is_some_and(|path| path.as_text().is_some()),
        _ => false,
    });
    has_command || URL_KEYS.iter().any(|key| node.get(key).is_some_and(|url| url.as_text().is_some()))
}

/// Reads one server. `subject` is what an error calls it: its name in backquotes, or "it".
pub(crate) fn read_entry(
    name: &str,
    subject: &str,
    node: Node<'_>,
    rules: &ReadRules,
    notes: &mut Notes<'_>,
) -> Result<ServerEntry, Fault> {
    if node.members().is_none() {
        return Err(Fault::new(node.at, "a server must be a table"));
    }
    let mut reader = Reader { name, subject, node, rules, notes };
    let transport = reader.read_transport()?;
    let mut entry = ServerEntry::new(name, transport);
    entry.disabled = node.flag("disabled")?.unwrap_or(false) || !node.flag("enabled")?.unwrap_or(true);
    if !read_timeouts(node, rules.timeout, &mut entry) {
        reader.notes.warnings.push(Warning::UnclearTimeout { server: name.to_owned() });
    }
    entry.tools = ToolChoice {
        allow: read_tools(
            node,
            &["includeTools", "enabled_tools", "enabledTools", "available_tools", "tools"],
        ),
        deny: read_tools(node, &["excludeTools", "disabled_tools", "disabledTools"]),
    };
    // Goose keeps the values of these in its keyring.
    entry.secrets = node.texts("env_keys")?.unwrap_or_default();
    Ok(entry)
}

/// The tools in the first of these keys that holds texts. "*" stands for all of them.
fn read_tools(node: Node<'_>, keys: &[&str]) -> Vec<String> {
    let texts = |key: &&str| -> Vec<String> {
        let elements = node.get(key).and_then(Node::elements).unwrap_or_default();
        // Augment Code keeps there what it has found out about each tool.
        elements.into_iter().filter_map(Node::as_text).map(str::to_owned).collect()
    };
    let tools = keys.iter().map(texts).find(|tools| !tools.is_empty());
    tools.filter(|tools| !tools.iter().any(|tool| tool == "*")).unwrap_or_default()
}

struct Reader<'a, 'n, 'p> {
    name: &'a str,
    subject: &'a str,
    node: Node<'a>,
    rules: &'a ReadRules,
    notes: &'n mut Notes<'p>,
}

impl Reader<'_, '_, '_> {
    fn read_transport(&mut self) -> Result<Transport, Fault> {
        let node = self.node;
        let kind = ["type", "transport"].iter().find_map(|key| node.get(key)?.as_text()).unwrap_or_default();
        let wants_url = match kind.to_ascii_lowercase().as_str() {
            "stdio" | "local" | "custom" | "command" => Some(false),
            "http" | "sse" | "remote" | "ws" | "websocket" | "streamable-http" | "streamable_http"
            | "streamablehttp" => Some(true),
            _ => None,
        };
        let url = node.text_any(&URL_KEYS)?.map(str::trim).filter(|url| !url.is_empty());
        let command = COMMAND_KEYS.into_iter().find_map(|key| Some((key, node.get(key)?)));
        let what = match (command, url) {
            (Some(_), Some(url)) if wants_url == Some(true) => return self.read_url(url),
            (Some((key, command)), _) if wants_url != Some(true) => return self.read_stdio(key, command),
            (None, Some(url)) if wants_url != Some(false) => return self.read_url(url),
            (Some(_), _) => "has the type of a URL, and no `url`",
            (None, Some(_)) => "has the type of a command, and no `command`",
            (None, None) => "has neither a command nor a URL",
        };
        Err(Fault::new(node.at, format!("{} {what}", self.subject)))
    }

    fn read_stdio(&mut self, key: &str, command: Node<'_>) -> Result<Transport, Fault> {
        let node = self.node;
        let args = read_arguments(node)?;
        let mut words = match command.value {
            Value::Text(line) => self.read_program(line, command.at, args.is_empty())?,
            // opencode writes program and arguments as one list.
            Value::List(_) => node.texts(key)?.unwrap_or_default(),
            // Zed did so until 2025.
            Value::Map(_) => {
                let path = command.text("path")?.unwrap_or_default().to_owned();
                [vec![path], read_arguments(command)?].concat()
            }
            _ => return Err(Fault::new(command.at, format!("`{key}` must be a text"))),
        };
        words.extend(args);
        let mut words = words.iter().map(|word| self.translate(word));
        let program = words.next().filter(|program| !program.trim().is_empty());
        let program = program.ok_or_else(|| Fault::new(command.at, format!("`{key}` is empty")))?;
        let args = words.collect();
        let mut env = Vec::new();
        for (node, key) in [(command, "env"), (node, "env"), (node, "environment"), (node, "envs")] {
            env.extend(self.read_pairs(node, key)?);
        }
        // Codex names those that it hands on.
        let names = node.texts("env_vars")?.unwrap_or_default().into_iter();
        env.extend(names.map(|name| {
            let value = format!("${{env:{name}}}");
            (name, value)
        }));
        let cwd = self.read_text(&["cwd", "workingDirectory", "working_directory"])?;
        let env_file = self.read_text(&["envFile", "env_file"])?;
        Ok(Transport::Stdio { command: program, args, env, cwd, env_file })
    }

    /// The words of `command`, which may be a whole command line.
    fn read_program(&mut self, line: &str, at: usize, is_alone: bool) -> Result<Vec<String>, Fault> {
        if line.contains('\0') {
            return Err(Fault::new(at, "`command` contains a NUL character"));
        }
        let Some(is_program) = self.notes.is_program else {
            return if is_alone && self.rules.splits_command {
                split_words(line).ok_or_else(|| Fault::new(at, "`command` has a quote that is not closed"))
            } else {
                Ok(vec![line.to_owned()])
            };
        };
        let server = self.name.to_owned();
        let line = line.trim();
        let Some(words) = split_command_line(line, is_program) else {
            if line.contains(char::is_whitespace) && !is_program(line) {
                self.notes.warnings.push(Warning::UnclearCommand { server });
            }
            return Ok(vec![line.to_owned()]);
        };
        let program = words.first().cloned().unwrap_or_default();
        let arguments = words.len().saturating_sub(1);
        self.notes.warnings.push(Warning::SplitCommand { server, program, arguments });
        Ok(words)
    }

    fn read_url(&mut self, url: &str) -> Result<Transport, Fault> {
        let node = self.node;
        let url = self.translate(url);
        let mut headers = Vec::new();
        for key in ["headers", "http_headers"] {
            headers.extend(self.read_pairs(node, key)?);
        }
        // Continue: <https://docs.continue.dev/reference>
        if let Some(options) = node.get("requestOptions") {
            headers.extend(self.read_pairs(options, "headers")?);
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

    fn read_text(&mut self, keys: &[&str]) -> Result<Option<String>, Fault> {
        let text = self.node.text_any(keys)?.filter(|text| !text.is_empty());
        Ok(text.map(|text| self.translate(text)))
    }

    fn read_pairs(&mut self, node: Node<'_>, key: &str) -> Result<Vec<(String, String)>, Fault> {
        let pairs = node.pairs(key)?;
        // What no system takes; names are not checked further, so that no server is lost for one of them.
        let is_wrong = |name: &String| name.is_empty() || name.contains(['=', '\0', '\r', '\n']);
        if pairs.iter().any(|(name, _)| is_wrong(name)) {
            let at = node.get(key).map_or(node.at, |pairs| pairs.at);
            return Err(Fault::new(at, format!("a name in `{key}` is not valid")));
        }
        Ok(pairs.into_iter().map(|(name, value)| (name, self.translate(&value))).collect())
    }

    fn translate(&mut self, text: &str) -> String {
        let translated = translate(text, self.rules.variables);
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

/// `args`, which Augment Code calls `arguments` and writes as one text.
fn read_arguments(node: Node<'_>) -> Result<Vec<String>, Fault> {
    let Some(key) = ["args", "arguments"].into_iter().find(|key| node.get(key).is_some()) else {
        return Ok(Vec::new());
    };
    match node.get(key).and_then(|node| Some((node.as_text()?, node.at))) {
        Some((line, at)) => {
            split_words(line).ok_or_else(|| Fault::new(at, format!("`{key}` has a quote that is not closed")))
        }
        None => Ok(node.texts(key)?.unwrap_or_default()),
    }
}
