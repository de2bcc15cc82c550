//! What can be used of an invalid file.

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::client::{ClientConfig, Clients};
use crate::limits::MAX_SECTIONS;
use crate::raw::{Daemon, File, Server};
use crate::{AiSettings, ModelAlias, Provider, ServerConfig, ai, model, provider, server_name};

/// The valid parts of an invalid file.
#[derive(Default)]
pub(crate) struct Salvage {
    pub(crate) daemon: Daemon,
    pub(crate) servers: Vec<(String, ServerConfig)>,
    /// The choices for clients. A client whose choice is invalid sees nothing: nobody knows what it may see.
    pub(crate) clients: Clients,
    pub(crate) providers: Vec<Provider>,
    pub(crate) models: Vec<ModelAlias>,
    /// Without an invalid table, what holds without any.
    pub(crate) ai: AiSettings,
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
                            let server = server.and_then(|server| server.check(name.get_ref(), &at).ok());
                            found.add(name.get_ref(), server);
                        }
                    }
                    ("clients", DeValue::Table(clients)) => {
                        for (name, client) in clients {
                            let client = ClientConfig::deserialize(ValueDeserializer::from(client.clone()));
                            found.add_client(name.get_ref(), client.ok());
                        }
                    }
                    ("providers", DeValue::Table(providers)) => {
                        for (name, provider) in providers {
                            let (at, name) = (name.span(), name.get_ref().to_string());
                            let provider =
                                provider::Written::deserialize(ValueDeserializer::from(provider.clone()));
                            let provider = provider.ok().and_then(|provider| provider.check(name, &at).ok());
                            found.add_provider(provider);
                        }
                    }
                    ("models", DeValue::Table(models)) => {
                        for (name, model) in models {
                            let (at, name) = (name.span(), name.get_ref().to_string());
                            let model = model::Written::deserialize(ValueDeserializer::from(model.clone()));
                            let model = model.ok().and_then(|model| model.check(name, &at).ok());
                            found.add_model(model);
                        }
                    }
                    ("ai", _) => {
                        let ai = ai::Written::deserialize(ValueDeserializer::from(value.clone()));
                        found.ai = ai.ok().and_then(|ai| ai.check().ok()).unwrap_or_default();
                    }
                    _ => {}
                }
            }
        }
        Err(_) => {
            for (owner, text) in sections(text) {
                let file = toml::from_str::<File>(&text).ok();
                match owner {
                    Owner::Daemon => found.daemon = file.map(|file| file.daemon).unwrap_or_default(),
                    Owner::Server(name) => {
                        let checked = file.and_then(|file| file.check().ok());
                        let server = checked.and_then(|checked| checked.servers.get(&name).cloned());
                        found.add(&name, server);
                    }
                    Owner::Client(name) => {
                        let checked = file.and_then(|file| file.check().ok());
                        let client = checked.and_then(|checked| Some(checked.clients.find(&name)?.1.clone()));
                        found.add_client(&name, client);
                    }
                    Owner::Tools(table) => {
                        let Some(checked) = file.and_then(|file| file.check().ok()) else { continue };
                        checked.providers.into_iter().for_each(|provider| found.add_provider(Some(provider)));
                        checked.models.into_iter().for_each(|model| found.add_model(Some(model)));
                        if table == "ai" {
                            found.ai = checked.ai;
                        }
                    }
                }
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

    fn add_client(&mut self, name: &str, client: Option<ClientConfig>) {
        // No client has a name that is invalid, or one that was there before in another case.
        let _ = self.clients.add(name.to_owned(), client.unwrap_or_else(ClientConfig::nothing));
    }

    fn add_provider(&mut self, provider: Option<Provider>) {
        let known = |name: &str| self.providers.iter().any(|known| known.name.eq_ignore_ascii_case(name));
        self.providers.extend(provider.filter(|provider| !known(&provider.name)));
    }

    fn add_model(&mut self, model: Option<ModelAlias>) {
        let known = |name: &str| self.models.iter().any(|known| known.name.eq_ignore_ascii_case(name));
        self.models.extend(model.filter(|model| !known(&model.name)));
    }
}

/// Whose table a section of the file is a part of.
#[derive(PartialEq, Eq)]
enum Owner {
    Daemon,
    Server(String),
    Client(String),
    /// `ai`, `providers.NAME` or `models.NAME`.
    Tools(String),
}

impl Owner {
    /// The owner of the section with this heading, which may be damaged. `heading` begins behind the bracket.
    fn of(heading: &str) -> Option<Self> {
        if let Some(rest) = heading.strip_prefix("servers.") {
            let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
            return Some(Owner::Server(rest[..end.unwrap_or(rest.len())].to_owned()));
        }
        for table in ["clients", "providers", "models"] {
            if heading.starts_with(table) {
                let text = format!("[{heading}");
                let root = DeTable::parse(&text).ok()?;
                let DeValue::Table(named) = root.get_ref().get(table)?.get_ref() else { return None };
                let name = named.keys().next()?.get_ref().to_string();
                let is_client = table == "clients";
                return Some(if is_client {
                    Owner::Client(name)
                } else {
                    Owner::Tools(format!("{table}.{name}"))
                });
            }
        }
        if heading.starts_with("ai]") {
            return Some(Owner::Tools("ai".to_owned()));
        }
        heading.starts_with("daemon]").then_some(Owner::Daemon)
    }
}

/// The text below the headings of each server, of each client, of the EXAI tools and of the daemon (where each byte is in its place). Only
/// for a text that is no TOML.
fn sections(text: &str) -> Vec<(Owner, String)> {
    // A line of such a string may look like a heading, and what is quoted must not be executed.
    if text.contains("\"\"\"") || text.contains("'''") {
        return Vec::new();
    }
    let mut kept: Vec<(Owner, String)> = Vec::new();
    let mut current = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(heading) = line.trim_start().strip_prefix('[')
            && heading.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '[')
        {
            let owner = Owner::of(heading);
            current = owner.and_then(|owner| {
                let known = kept.iter().position(|(known, _)| *known == owner);
                if known.is_none() && kept.len() < MAX_SECTIONS {
                    let before = if owner == Owner::Daemon { blank(&text[..at]) } else { String::new() };
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
