//! The file as it is written: every key may be missing, and what is checked knows its place.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::limits::MAX_SECTIONS;
use crate::server::{Containment, EraChoice, ServerConfig, ServerKind, Share, StartPolicy, ToolFilter};
use crate::{Secret, server_name};

const DEFAULT_MAX_PROCESSES: u32 = 32;
const DEFAULT_CRASH_LIMIT: u32 = 5;

/// What a person who wrote a path of Windows in double quotes needs to know.
pub(crate) const BACKSLASH_HINT: &str =
    "in double quotes a backslash begins an escape: write paths in single quotes";

/// What is wrong, and the bytes of the file that it concerns.
pub(crate) struct Fault {
    pub(crate) at: Range<usize>,
    pub(crate) sentence: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) daemon: Daemon,
    servers: Servers,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Daemon {
    pub(crate) port: Option<Spanned<u16>>,
}

#[derive(Default)]
struct Servers(Vec<(Spanned<String>, Spanned<Server>)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    command: Option<Spanned<String>>,
    args: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    env: BTreeMap<Spanned<String>, Secret>,
    cwd: Option<Spanned<String>>,
    #[serde(default)]
    share: Share,
    #[serde(default)]
    start: StartPolicy,
    idle_stop: Option<Span>,
    start_timeout: Option<Spanned<Span>>,
    call_timeout: Option<Spanned<Span>>,
    #[serde(default)]
    era: EraChoice,
    trusted: Option<bool>,
    #[serde(default)]
    containment: Containment,
    #[serde(default)]
    tools: ToolFilter,
    max_processes: Option<Spanned<u32>>,
    crash_limit: Option<u32>,
    url: Option<Spanned<String>>,
    headers: Option<Spanned<BTreeMap<String, Secret>>>,
}

impl File {
    /// Checks what the types cannot and fills in the defaults.
    pub(crate) fn servers(self) -> Result<Vec<(String, ServerConfig)>, Fault> {
        let mut servers: Vec<(String, ServerConfig)> = Vec::new();
        for (key, server) in self.servers.0 {
            let at = key.span();
            let name = key.into_inner();
            server_name::check(&name)
                .map_err(|error| Fault { at: at.clone(), sentence: error.to_string() })?;
            if let Some((other, _)) = servers.iter().find(|(other, _)| other.eq_ignore_ascii_case(&name)) {
                let sentence = format!("the server names `{other}` and `{name}` differ in case only");
                return Err(Fault { at, sentence });
            }
            servers.push((name, server.into_inner().check(&at)?));
        }
        Ok(servers)
    }
}

/// The valid parts of an invalid file.
#[derive(Default)]
pub(crate) struct Salvage {
    pub(crate) daemon: Daemon,
    pub(crate) servers: Vec<(String, ServerConfig)>,
    /// The names of the invalid servers.
    pub(crate) left_out: Vec<String>,
}

/// Reads each table by itself.
pub(crate) fn salvage(text: &str) -> Salvage {
    let mut found = Salvage::default();
    match DeTable::parse(text) {
        Ok(root) => {
            for (key, value) in root.get_ref() {
                match (&**key.get_ref(), value.get_ref()) {
                    ("daemon", _) => {
                        let daemon = Daemon::deserialize(ValueDeserializer::from(value.clone()));
                        found.daemon = daemon.unwrap_or_default();
                    }
                    ("servers", DeValue::Table(servers)) => {
                        for (name, server) in servers {
                            let at = name.span();
                            let server = Server::deserialize(ValueDeserializer::from(server.clone())).ok();
                            found.add(name.get_ref(), server.and_then(|server| server.check(&at).ok()));
                        }
                    }
                    _ => {}
                }
            }
        }
        Err(_) => {
            for (name, text) in sections(text) {
                let file = toml::from_str::<File>(&text).ok();
                let Some(name) = name else {
                    found.daemon = file.map(|file| file.daemon).unwrap_or_default();
                    continue;
                };
                let mut servers = file.and_then(|file| file.servers().ok()).unwrap_or_default().into_iter();
                found.add(&name, servers.find(|(known, _)| *known == name).map(|(_, server)| server));
            }
        }
    }
    found
}

impl Salvage {
    fn add(&mut self, name: &str, server: Option<ServerConfig>) {
        let known = self.servers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        match server.filter(|_| !known && server_name::check(name).is_ok()) {
            Some(server) => self.servers.push((name.to_owned(), server)),
            None => self.left_out.push(name.to_owned()),
        }
    }
}

/// The text below the headings of each server (its name) and of the daemon (no name, each byte in its place). Only for a
/// text that is no TOML.
fn sections(text: &str) -> Vec<(Option<String>, String)> {
    // A line of such a string may look like a heading, and what is quoted must not be executed.
    if text.contains("\"\"\"") || text.contains("'''") {
        return Vec::new();
    }
    let mut kept: Vec<(Option<String>, String)> = Vec::new();
    let mut current = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(heading) = line.trim_start().strip_prefix('[')
            && heading.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '[')
        {
            let name = heading.strip_prefix("servers.").map(|rest| {
                let end =
                    rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
                Some(rest[..end.unwrap_or(rest.len())].to_owned())
            });
            let owner = name.or_else(|| heading.starts_with("daemon]").then_some(None));
            current = owner.and_then(|owner| {
                let known = kept.iter().position(|(known, _)| *known == owner);
                if known.is_none() && kept.len() < MAX_SECTIONS {
                    let before = if owner.is_none() { blank(&text[..at]) } else { String::new() };
                    kept.push((owner, before));
                    return Some(kept.len() - 1);
                }
                known
            });
        }
        if let Some(section) = current {
            kept[section].1.push_str(line);
        }
        at += line.len();
    }
    kept
}

/// Blank text of as many bytes and lines.
fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

impl Server {
    fn check(self, at: &Range<usize>) -> Result<ServerConfig, Fault> {
        let fault = |at: Range<usize>, sentence: &str| Err(Fault { at, sentence: sentence.to_owned() });
        if self.command.is_none() && self.url.is_none() {
            return fault(at.clone(), "a server needs a `command` to run or a `url` to reach");
        }
        for (key, value) in [("command", &self.command), ("cwd", &self.cwd)] {
            let Some(value) = value else { continue };
            if value.get_ref().trim().is_empty() {
                return fault(value.span(), &format!("`{key}` is empty"));
            }
            if value.get_ref().contains(char::is_control) {
                return fault(value.span(), &format!("`{key}` holds a control character; {BACKSLASH_HINT}"));
            }
        }
        if self.command.is_none() {
            let misplaced = [
                ("args", self.args.as_ref().map(Spanned::span)),
                ("env", self.env.keys().next().map(Spanned::span)),
                ("cwd", self.cwd.as_ref().map(Spanned::span)),
            ];
            for (key, span) in misplaced {
                if let Some(span) = span {
                    return fault(span, &format!("`{key}` is for a server with a `command`"));
                }
            }
        }
        if let Some(headers) = self.headers.as_ref().filter(|_| self.url.is_none()) {
            return fault(headers.span(), "`headers` is for a server with a `url`");
        }
        if let Some(url) = &self.url
            && let Err(sentence) = check_url(url.get_ref(), self.command.is_some())
        {
            return fault(url.span(), sentence);
        }
        for name in self.env.keys() {
            if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
                return fault(name.span(), "this is no name of an environment variable");
            }
        }
        for (key, limit) in [("start_timeout", &self.start_timeout), ("call_timeout", &self.call_timeout)] {
            if let Some(limit) = limit.as_ref().filter(|limit| limit.get_ref().0.is_zero()) {
                return fault(limit.span(), &format!("`{key}` must be longer than nothing"));
            }
        }
        if let Some(max) = self.max_processes.as_ref().filter(|max| *max.get_ref() == 0) {
            return fault(max.span(), "`max_processes` must be at least 1");
        }
        Ok(self.with_defaults())
    }

    fn with_defaults(self) -> ServerConfig {
        let minutes = |span: Option<Span>, default| span.map_or(Duration::from_mins(default), |span| span.0);
        let mut server = ServerConfig {
            command: self.command.map(Spanned::into_inner),
            args: self.args.map(Spanned::into_inner).unwrap_or_default(),
            env: self.env.into_iter().map(|(name, value)| (name.into_inner(), value)).collect(),
            cwd: self.cwd.map(Spanned::into_inner),
            share: self.share,
            start: self.start,
            idle_stop: minutes(self.idle_stop, 15),
            start_timeout: minutes(self.start_timeout.map(Spanned::into_inner), 2),
            call_timeout: minutes(self.call_timeout.map(Spanned::into_inner), 5),
            era: self.era,
            trusted: false,
            containment: self.containment,
            tools: self.tools,
            max_processes: self.max_processes.map_or(DEFAULT_MAX_PROCESSES, Spanned::into_inner),
            crash_limit: self.crash_limit.unwrap_or(DEFAULT_CRASH_LIMIT),
            url: self.url.map(Spanned::into_inner),
            headers: self.headers.map(Spanned::into_inner).unwrap_or_default(),
        };
        server.trusted = self.trusted.unwrap_or(match server.kind() {
            ServerKind::Stdio | ServerKind::Listening => true,
            ServerKind::Remote => false,
        });
        server
    }
}

/// Enough to catch a mistake early; the HTTP client parses it in full. A `${` may stand for anything.
fn check_url(url: &str, of_a_command: bool) -> Result<(), &'static str> {
    if url.starts_with("${") {
        return Ok(());
    }
    let plain = url.strip_prefix("http://");
    let Some(rest) = plain.or_else(|| url.strip_prefix("https://")) else {
        return Err("a `url` starts with http:// or https://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || url.contains(char::is_whitespace) {
        return Err("this `url` names no host");
    }
    if authority.contains('@') {
        return Err("credentials do not belong into a `url`; use `headers`");
    }
    let local = ["127.0.0.1", "localhost", "[::1]"].into_iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':'))
    });
    if of_a_command && !(local && plain.is_some()) {
        return Err("the `url` of a server with a `command` is http:// on 127.0.0.1, localhost or [::1]");
    }
    Ok(())
}

/// A length of time as people write it: `15m`, `1h 30m`, `90 seconds`.
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let wrong = || de::Error::custom("a length of time is written like \"15m\", \"90s\" or \"1h 30m\"");
        let text = String::deserialize(deserializer).map_err(|_| wrong())?;
        let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        duration.try_into().map(Span).map_err(|_| wrong())
    }
}

/// A map in the order of the file, with the place of each key.
impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Servers, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Servers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tables named [servers.NAME]")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Servers, A::Error> {
                let mut servers = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    servers.push(entry);
                }
                Ok(Servers(servers))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
