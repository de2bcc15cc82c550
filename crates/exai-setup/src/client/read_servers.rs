//! The servers that a configuration file of a client has.

use std::collections::BTreeSet;

use super::launch::starts_exai;
use super::read_entry::{UnreadEntry, read_entry};
use super::row::{Client, ConfigFile};
use crate::format::ParseError;
use crate::variables::{Piece, split};
use crate::{ServerEntry, Value};

/// What a file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundServers {
    /// The servers, in the order of the file.
    pub servers: Vec<FoundServer>,
    /// The entries that are no servers that exai could run.
    pub unread: Vec<UnreadEntry>,
}

/// A server that a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundServer {
    /// The server.
    pub entry: ServerEntry,
    /// The directory of the project that alone has it, where one file has the servers of many projects.
    pub project: Option<String>,
}

impl FoundServers {
    /// Whether the account has an entry of this name that starts exai.
    pub fn has_exai(&self, name: &str) -> bool {
        let mut own = self.servers.iter().filter(|server| server.project.is_none());
        own.any(|server| server.entry.name == name && starts_exai(&server.entry))
    }
}

impl Client {
    /// Reads the servers of a file.
    pub fn read_servers(&self, file: &ConfigFile, text: &str) -> Result<FoundServers, ParseError> {
        let mut found = FoundServers::default();
        let Some(root) = file.format.parse(text)? else { return Ok(found) };
        let secrets = secret_inputs(&root);
        let mut containers = vec![(None, &root)];
        for key in file.pointer {
            containers = containers
                .into_iter()
                .flat_map(|(project, value)| match *key {
                    "*" => {
                        let pairs = value.as_map().unwrap_or_default();
                        pairs.iter().map(|(name, value)| (Some(name.clone()), value)).collect()
                    }
                    key => value.get(key).map(|value| (project, value)).into_iter().collect::<Vec<_>>(),
                })
                .collect();
        }
        for (project, container) in containers {
            for (name, value) in named_entries(container) {
                match read_entry(name, value, &self.rules) {
                    Ok(mut entry) => {
                        mark_secrets(&mut entry, &secrets);
                        found.servers.push(FoundServer { entry, project: project.clone() });
                    }
                    Err(unread) => found.unread.push(unread),
                }
            }
        }
        Ok(found)
    }
}

/// The entries of a map or a list, with their names.
fn named_entries<'c>(container: &'c Value) -> Vec<(&'c str, &'c Value)> {
    match container {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        Value::List(elements) => {
            let name =
                |element: &'c Value| element.get("name").and_then(Value::as_text).unwrap_or("(no name)");
            elements.iter().map(|element| (name(element), element)).collect()
        }
        _ => Vec::new(),
    }
}

/// The ids of the inputs that VS Code asks for as passwords:
/// <https://code.visualstudio.com/docs/agents/reference/mcp-configuration>.
fn secret_inputs(root: &Value) -> BTreeSet<&str> {
    let inputs = root.get("inputs").and_then(Value::as_list).unwrap_or_default();
    let is_secret = |input: &&Value| input.get("password").and_then(Value::as_bool) == Some(true);
    inputs.iter().filter(is_secret).filter_map(|input| input.get("id")?.as_text()).collect()
}

/// Marks the variables and headers whose values are made of a secret input.
fn mark_secrets(entry: &mut ServerEntry, inputs: &BTreeSet<&str>) {
    let is_secret = |value: &str| split(value).iter().filter_map(Piece::input).any(|id| inputs.contains(id));
    let pairs = entry.transport.pairs().iter();
    entry.secrets.extend(pairs.filter(|(_, value)| is_secret(value)).map(|(name, _)| name.clone()));
}
