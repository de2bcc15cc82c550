//! An entry in the configuration of a client, read into a [`ServerEntry`].
//!
//! One reader knows the keys of all clients: two clients never mean different things with one key, but for `timeout`.

use std::time::Duration;

use super::command_line::split_command_line;
use super::variables::{VariableSyntax, translate};
use crate::{ServerEntry, ToolChoice, Transport, Value};

/// What differs between clients in how an entry is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRules {
    /// How the client refers to environment variables.
    pub variables: &'static [VariableSyntax],
    /// What the key `timeout` means.
    pub timeout: TimeoutMeaning,
    /// Whether a command without arguments is a whole command line.
    pub splits_command: bool,
}

/// What a client's key `timeout` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutMeaning {
    /// How long a call may take, in milliseconds.
    CallMilliseconds,
    /// How long a call may take, in seconds.
    CallSeconds,
    /// How long a start may take, in milliseconds.
    StartMilliseconds,
    /// The client has no such key.
    Unknown,
}

/// An entry that is no server that exai could run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct UnreadEntry {
    /// Its name.
    pub name: String,
    /// Why, as a clause: "it has neither a command nor a URL".
    pub reason: &'static str,
}

/// Reads one entry.
pub fn read_entry(name: &str, value: &Value, rules: &ReadRules) -> Result<ServerEntry, UnreadEntry> {
    let unread = |reason| UnreadEntry { name: name.to_owned(), reason };
    if value.as_map().is_none() {
        return Err(unread("it is not a map"));
    }
    let reader = Reader { value, rules };
    let transport = reader.transport().map_err(unread)?;
    let mut entry = ServerEntry::new(name, transport);
    entry.disabled = reader.flag("disabled") == Some(true) || reader.flag("enabled") == Some(false);
    reader.read_timeouts(&mut entry);
    entry.tools = ToolChoice {
        allow: reader.tools(&["includeTools", "enabled_tools", "enabledTools", "available_tools", "tools"]),
        deny: reader.tools(&["excludeTools", "disabled_tools", "disabledTools"]),
    };
    // Goose keeps the values of these in its keyring.
    entry.secrets = reader.texts("env_keys");
    Ok(entry)
}

struct Reader<'v> {
    value: &'v Value,
    rules: &'v ReadRules,
}

impl Reader<'_> {
    fn transport(&self) -> Result<Transport, &'static str> {
        if let Some(command) = ["command", "cmd"].iter().find_map(|key| self.value.get(key)) {
            return self.read_stdio(command);
        }
        let url = ["httpUrl", "serverUrl", "url", "uri"].iter().find_map(|key| self.text(key));
        match url {
            Some(url) if !url.is_empty() => Ok(Transport::Url { url, headers: self.headers() }),
            _ => Err("it has neither a command nor a URL"),
        }
    }

    fn read_stdio(&self, command: &Value) -> Result<Transport, &'static str> {
        let mut args = read_args(self.value)?;
        let mut env = self.env();
        let words = match command {
            // opencode writes program and arguments as one list.
            Value::List(words) => words
                .iter()
                .map(Value::to_plain_text)
                .collect::<Option<Vec<_>>>()
                .ok_or("its command is not a list of texts")?,
            // Zed did so until 2025.
            Value::Map(_) => {
                args = read_args(command)?;
                env.extend(self.pairs(command.get("env")));
                let path = command.get("path").and_then(Value::as_text).ok_or("its command has no path")?;
                vec![path.to_owned()]
            }
            Value::Text(line) if self.rules.splits_command && args.is_empty() => {
                split_command_line(line).ok_or("its command has a quote that does not end")?
            }
            Value::Text(program) => vec![program.clone()],
            _ => return Err("its command is not a text"),
        };
        let mut words = words.iter().map(|word| self.translate(word));
        let command =
            words.next().filter(|command| !command.trim().is_empty()).ok_or("its command is empty")?;
        let args = words.chain(args.iter().map(|arg| self.translate(arg))).collect();
        let env_file = self.text("envFile").or_else(|| self.text("env_file"));
        Ok(Transport::Stdio { command, args, env, cwd: self.text("cwd"), env_file })
    }

    fn env(&self) -> Vec<(String, String)> {
        let env = ["env", "environment", "envs"].iter().find_map(|key| self.value.get(key));
        let mut env = self.pairs(env);
        // Codex names those that it hands on.
        env.extend(self.texts("env_vars").into_iter().map(|name| {
            let value = format!("${{env:{name}}}");
            (name, value)
        }));
        env
    }

    fn headers(&self) -> Vec<(String, String)> {
        let nested = self.value.get("requestOptions").and_then(|options| options.get("headers"));
        let headers = ["headers", "http_headers"].iter().find_map(|key| self.value.get(key)).or(nested);
        let mut headers = self.pairs(headers);
        let of_variables = self.pairs(self.value.get("env_http_headers"));
        headers.extend(of_variables.into_iter().map(|(header, name)| (header, format!("${{env:{name}}}"))));
        if let Some(name) = self.text("bearer_token_env_var") {
            headers.push(("Authorization".to_owned(), format!("Bearer ${{env:{name}}}")));
        }
        headers
    }

    fn read_timeouts(&self, entry: &mut ServerEntry) {
        let seconds = |key: &str, scale: f64| read_time(self.value.get(key), scale);
        let timeout = |scale| seconds("timeout", scale);
        match self.rules.timeout {
            TimeoutMeaning::CallMilliseconds => entry.call_timeout = timeout(0.001),
            TimeoutMeaning::CallSeconds => entry.call_timeout = timeout(1.0),
            TimeoutMeaning::StartMilliseconds => entry.start_timeout = timeout(0.001),
            TimeoutMeaning::Unknown => {}
        }
        if let Some(time) = seconds("tool_timeout_sec", 1.0) {
            entry.call_timeout = Some(time);
        }
        // opencode's next configuration has both, in milliseconds.
        if let Some(timeouts) = self.value.get("timeout").filter(|timeouts| timeouts.as_map().is_some()) {
            entry.start_timeout = read_time(timeouts.get("startup"), 0.001);
            entry.call_timeout = read_time(timeouts.get("request"), 0.001);
        }
        let start = seconds("startup_timeout_sec", 1.0)
            .or_else(|| seconds("startup_timeout_ms", 0.001))
            .or_else(|| seconds("connectionTimeout", 0.001));
        if let Some(time) = start {
            entry.start_timeout = Some(time);
        }
    }

    /// The tools in the first of these keys that holds texts. "*" stands for all of them.
    fn tools(&self, keys: &[&str]) -> Vec<String> {
        let tools = keys.iter().map(|key| self.texts(key)).find(|tools| !tools.is_empty());
        tools.filter(|tools| !tools.iter().any(|tool| tool == "*")).unwrap_or_default()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.value.get(key)?.as_bool()
    }

    fn text(&self, key: &str) -> Option<String> {
        let text = self.value.get(key)?.as_text().filter(|text| !text.is_empty())?;
        Some(self.translate(text))
    }

    fn texts(&self, key: &str) -> Vec<String> {
        let elements = self.value.get(key).and_then(Value::as_list).unwrap_or_default();
        elements.iter().filter_map(|element| element.as_text().map(str::to_owned)).collect()
    }

    fn pairs(&self, of: Option<&Value>) -> Vec<(String, String)> {
        let pairs = of.and_then(Value::as_map).unwrap_or_default();
        let pair =
            |(key, value): &(String, Value)| Some((key.clone(), self.translate(&value.to_plain_text()?)));
        pairs.iter().filter_map(pair).collect()
    }

    fn translate(&self, text: &str) -> String {
        translate(text, self.rules.variables)
    }
}

/// The arguments: a list, or a command line in one text.
fn read_args(of: &Value) -> Result<Vec<String>, &'static str> {
    match of.get("args").or_else(|| of.get("arguments")) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::List(args)) => {
            let args: Option<Vec<_>> = args.iter().map(Value::to_plain_text).collect();
            args.ok_or("its arguments are not a list of texts")
        }
        Some(Value::Text(line)) => {
            split_command_line(line).ok_or("its arguments have a quote that does not end")
        }
        Some(_) => Err("its arguments are not a list of texts"),
    }
}

/// A time in a unit of `scale` seconds. Nothing is no time.
fn read_time(value: Option<&Value>, scale: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value?.as_number()? * scale).ok().filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    const RULES: ReadRules =
        ReadRules { variables: &[], timeout: TimeoutMeaning::CallSeconds, splits_command: false };

    fn read(json: &str) -> Result<ServerEntry, UnreadEntry> {
        read_entry("x", &Format::Json.parse(json).unwrap().unwrap(), &RULES)
    }

    #[test]
    fn an_entry_that_is_no_server_says_why() {
        let cases = [
            ("[]", "x: it is not a map"),
            ("{}", "x: it has neither a command nor a URL"),
            (r#"{"url": ""}"#, "x: it has neither a command nor a URL"),
            (r#"{"command": 1}"#, "x: its command is not a text"),
            (r#"{"command": " "}"#, "x: its command is empty"),
            (r#"{"command": []}"#, "x: its command is empty"),
            (r#"{"command": ["a", {}]}"#, "x: its command is not a list of texts"),
            (r#"{"command": {"args": []}}"#, "x: its command has no path"),
            (r#"{"command": "a", "args": {}}"#, "x: its arguments are not a list of texts"),
            (r#"{"command": "a", "args": ["b", null]}"#, "x: its arguments are not a list of texts"),
            (r#"{"command": "a", "args": "b 'c"}"#, "x: its arguments have a quote that does not end"),
        ];
        for (json, reason) in cases {
            assert_eq!(read(json).unwrap_err().to_string(), reason, "{json}");
        }
    }

    #[test]
    fn times_that_are_none_are_left_out() {
        for time in ["0", "-1", "1e400", "\"10\"", "null", "1e30"] {
            let entry = read(&format!(r#"{{"command": "a", "timeout": {time}}}"#)).unwrap();
            assert_eq!(entry.call_timeout, None, "{time}");
        }
        let entry = read(r#"{"command": "a", "timeout": 1.5}"#).unwrap();
        assert_eq!(entry.call_timeout, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_command_that_is_a_path_with_blanks_is_not_split() {
        let entry = read(r#"{"command": "/Program Files/a", "args": "b 'c d'"}"#).unwrap();
        let Transport::Stdio { command, args, .. } = entry.transport else { panic!("no command") };
        assert_eq!((command.as_str(), args), ("/Program Files/a", vec!["b".to_owned(), "c d".to_owned()]));
    }
}
