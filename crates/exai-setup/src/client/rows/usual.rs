//! What most rows have in common.

use std::time::Duration;

use crate::client::places::Location;
use crate::client::read_entry::{ReadRules, TimeoutMeaning};
use crate::client::row::{Client, ConfigFile, Container, Rewrites, Role, Scope, Snippet, Switch};
use crate::client::write_entry;
use crate::format::Format;

/// What a row has where it says nothing else: `mcpServers` in JSON, and nothing known of the program.
pub(super) const USUAL: Client = Client {
    id: "",
    display_name: "",
    documentation: "",
    files: &[],
    snippet: Snippet { format: Format::Json, pointer: MCP_SERVERS, container: Container::Map },
    write: write_entry::plain,
    rules: NO_RULES,
    switch: Switch::None,
    tool_rules: &[],
    reload: "",
    processes: &[],
    rewrites: Rewrites::No,
    rejects_mark: true,
    call_timeout: None,
    name_limit: None,
    tool_limit: None,
    passes_environment: None,
    honours_list_changed: None,
};

pub(super) const NO_RULES: ReadRules =
    ReadRules { variables: &[], timeout: TimeoutMeaning::Unknown, splits_command: false };

pub(super) const MCP_SERVERS: &[&str] = &["mcpServers"];

pub(super) const MINUTE: Option<Duration> = Some(Duration::from_mins(1));

/// A file of the account with a map of servers.
pub(super) const fn user_file(
    format: Format,
    pointer: &'static [&'static str],
    locations: &'static [Location],
) -> ConfigFile {
    ConfigFile { scope: Scope::User, format, pointer, container: Container::Map, locations, role: Role::Main }
}

/// A file of a project with a map of servers. Projects are shared, so exai puts no path of one account into it.
pub(super) const fn project_file(
    format: Format,
    pointer: &'static [&'static str],
    locations: &'static [Location],
) -> ConfigFile {
    ConfigFile { scope: Scope::Project, role: Role::Import, ..user_file(format, pointer, locations) }
}
