use serde::Deserialize;

use crate::ToolFilter;
use crate::limits::{MAX_CLIENT_NAME_CHARS, MAX_NAMED_MISTAKES};

/// One `[clients.NAME]` table: what a client may see and use. Names of servers and patterns are as they were written:
/// the servers need not be configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// The servers that the client may use. Default: all.
    pub servers: Option<Vec<String>>,
    /// Which tools of these servers. The patterns are for names of the form `server__tool`. Default: all.
    pub tools: ToolFilter,
}

impl ClientConfig {
    /// A choice of nothing, for a client whose table cannot be read.
    pub(crate) fn nothing() -> Self {
        ClientConfig { servers: Some(Vec::new()), tools: ToolFilter::default() }
    }

    /// What has no effect because no such server is configured, each as a sentence. Servers come and go, so nothing of
    /// this is an error. The first mistakes stand for the others if there are many.
    pub fn likely_mistakes(&self, configured: &[&str]) -> Vec<String> {
        let unknown = self.servers.iter().flatten().filter(|name| !configured.contains(&name.as_str()));
        let unknown = unknown.map(|name| format!("`servers` names {name:?}, and no server is called that"));
        let patterns = self.tools.allow.iter().chain(&self.tools.deny);
        let idle = patterns.filter(|pattern| !configured.iter().any(|server| may_fit(pattern, server)));
        let idle = idle.map(|pattern| {
            format!(
                "{pattern:?} in `tools` fits no tool of a configured server: tools have the name of their server in \
                 front here, as in \"files__delete_*\" or \"*__delete_*\""
            )
        });
        unknown.chain(idle).take(MAX_NAMED_MISTAKES).collect()
    }

    /// Whether the client may use the server of exactly this name.
    pub fn has_server(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.iter().any(|name| name == server))
    }
}

/// Whether a pattern can fit a tool of this server, named `server__tool`.
fn may_fit(pattern: &str, server: &str) -> bool {
    let (start, is_open) = pattern.split_once('*').map_or((pattern, false), |(start, _)| (start, true));
    match start.strip_prefix(server) {
        Some(rest) if rest.starts_with("__") => true,
        _ => is_open && format!("{server}__").starts_with(start),
    }
}

/// The clients in the order of the file. Case does not matter in their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients(Vec<(String, ClientConfig)>);

impl Clients {
    /// The client of this name, in any case, with the name as it was written.
    pub fn find(&self, name: &str) -> Option<(&str, &ClientConfig)> {
        let name = name.to_lowercase();
        self.iter().find(|(known, _)| known.to_lowercase() == name)
    }

    /// Names and clients, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ClientConfig)> {
        self.0.iter().map(|(name, client)| (name.as_str(), client))
    }

    /// Adds a client. The error is a sentence that says what is wrong with the name.
    pub(crate) fn add(&mut self, name: String, client: ClientConfig) -> Result<(), String> {
        check_name(&name)?;
        if let Some((other, _)) = self.find(&name) {
            return Err(format!("the client names `{other}` and `{name}` differ in case only"));
        }
        self.0.push((name, client));
        Ok(())
    }
}

/// Checks a text that is to be the name of a client. Clients may call themselves anything.
fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a client needs a name".to_owned());
    }
    if name.contains(char::is_control) {
        return Err("the name of a client holds a control character".to_owned());
    }
    let length = name.chars().count();
    if length > MAX_CLIENT_NAME_CHARS {
        return Err(format!(
            "the name of a client has {length} characters, and {MAX_CLIENT_NAME_CHARS} are the most"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_no_configured_server_is_named() {
        let tools = |patterns: &[&str]| ToolFilter {
            deny: patterns.iter().map(ToString::to_string).collect(),
            ..ToolFilter::default()
        };
        let mistakes = |client: ClientConfig| client.likely_mistakes(&["files", "a"]);
        let good = ["*", "*delete*", "files__x", "files__*", "fi*", "files_*", "a*", "a__", "files*x"];
        assert_eq!(mistakes(ClientConfig { tools: tools(&good), servers: None }), [""; 0]);
        for bad in ["", "files", "file__*", "delete_*", "files_x*", "filesystem__*", "x", "A__*"] {
            assert_eq!(mistakes(ClientConfig { tools: tools(&[bad]), servers: None }).len(), 1, "{bad}");
        }
        let servers = Some(["files", "Files", "a\u{1b}"].map(str::to_owned).to_vec());
        let said = mistakes(ClientConfig { servers, ..ClientConfig::default() });
        assert_eq!(said[0], "`servers` names \"Files\", and no server is called that");
        assert_eq!(said[1], "`servers` names \"a\\u{1b}\", and no server is called that");
        let many = Some(vec!["x".to_owned(); 1000]);
        let many = ClientConfig { servers: many, ..ClientConfig::default() };
        assert_eq!(mistakes(many).len(), MAX_NAMED_MISTAKES);
    }
}
