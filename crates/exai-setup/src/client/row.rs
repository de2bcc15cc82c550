//! What is known of an MCP client: the columns of the registry.

use std::path::PathBuf;
use std::time::Duration;

use super::launch::Launch;
use super::places::{Directories, Location, resolve_all};
use super::read_entry::ReadRules;
use super::tool_rules::ToolRules;
use crate::Value;
use crate::format::Format;

/// An MCP client.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its name on the command line of exai.
    pub id: &'static str,
    /// Its name as its maker writes it.
    pub display_name: &'static str,
    /// Where its configuration is documented.
    pub documentation: &'static str,
    /// Its configuration files.
    pub files: &'static [ConfigFile],
    /// The format, and the keys on the way to the servers, of what a user pastes into the client or into a file that exai does
    /// not edit.
    pub snippet: Snippet,
    /// The entry of exai, as a value.
    pub write: fn(&Launch) -> Value,
    /// How its entries are read.
    pub rules: ReadRules,
    /// How a server is switched off without removing it.
    pub switch: Switch,
    /// Where it keeps rules that name servers and tools, beside their entries.
    pub tool_rules: &'static [ToolRules],
    /// What the user does so that the client sees a change: a sentence.
    pub reload: &'static str,
    /// The names of its running programs. On Windows `.exe` may follow.
    pub processes: &'static [&'static str],
    /// Whether it writes its file from memory while it runs, so that an entry that comes meanwhile is lost.
    pub rewrites: Rewrites,
    /// Whether it cannot read a byte order mark, nor UTF-16.
    pub rejects_mark: bool,
    /// After how long it gives a call up, unless the user changes that. `None` if that is not known or has no bound.
    pub call_timeout: Option<Duration>,
    /// The most characters of a tool's name as its model sees it, the name of the server included. `None` if not known.
    pub name_limit: Option<usize>,
    /// The most tools that it takes, of all servers together. `None` if there is no known bound.
    pub tool_limit: Option<usize>,
    /// Whether a server gets the whole environment of the client. `None` if that is not known.
    pub passes_environment: Option<bool>,
    /// Whether it lists the tools again after `notifications/tools/list_changed`. `None` if that is not known.
    pub honours_list_changed: Option<bool>,
}

/// Whether a client writes its file from memory while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrites {
    /// Nothing is known that says so.
    No,
    /// It keeps the file itself, and nobody has tried what becomes of a change that comes meanwhile.
    Untried,
    /// It does.
    Yes,
}

/// A configuration file of a client.
#[derive(Clone, Copy, Debug)]
pub struct ConfigFile {
    /// Whose servers it has.
    pub scope: Scope,
    /// Its format.
    pub format: Format,
    /// The keys on the way to the servers. A `*` stands for every key: such a file is read, and not edited.
    pub pointer: &'static [&'static str],
    /// What holds the servers.
    pub container: Container,
    /// Where it is: the first place that exists is the file.
    pub locations: &'static [Location],
    /// What exai does with it.
    pub role: Role,
}

/// What exai does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// exai's entry goes into it. It is created if no file that takes the entry exists.
    Main,
    /// exai's entry goes into it if it exists.
    IfPresent,
    /// exai's entry goes into it if the directory exists that its `*` stands for. The file is created there.
    IfDirectory,
    /// Its servers are read, and may be switched off or taken out. exai's entry does not go into it.
    Import,
}

/// Whose servers a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The account's.
    User,
    /// One project's.
    Project,
}

/// What holds the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// A map from names to entries.
    Map,
    /// A list of entries, each with a `name`.
    List,
}

/// What a user pastes.
#[derive(Clone, Copy, Debug)]
pub struct Snippet {
    /// Its format.
    pub format: Format,
    /// The keys on the way to the servers.
    pub pointer: &'static [&'static str],
    /// What holds the servers.
    pub container: Container,
}

/// How a client switches a server off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `disabled: true` in the entry.
    Disabled,
    /// `enabled: false` in the entry.
    Enabled,
    /// There is no switch in the entry: it must be removed.
    None,
}

impl ConfigFile {
    /// The paths where this file may be, in the order in which they count: the first that exists is the file, and the first of
    /// all is created if none exists. A name in a path may hold a `*`, which stands for any text: every path that fits is such
    /// a file.
    pub fn paths(&self, directories: &Directories) -> Vec<PathBuf> {
        resolve_all(self.locations, directories)
    }

    /// Whether exai edits this file.
    pub fn is_edited(&self) -> bool {
        self.format != Format::Yaml && !self.pointer.contains(&"*")
    }
}

impl Client {
    /// The files with the account's own servers.
    pub fn user_files(&self) -> impl Iterator<Item = &'static ConfigFile> {
        self.files.iter().filter(|file| file.scope == Scope::User)
    }

    /// The files that exai's entry goes into. There is none if the user must paste a snippet.
    pub fn entry_files(&self) -> impl Iterator<Item = &'static ConfigFile> {
        self.user_files().filter(|file| file.role != Role::Import && file.is_edited())
    }
}
