//! The MCP clients that exai knows, and what exai does with their configuration files.

mod edit_entry;
mod launch;
mod places;
mod read_entry;
mod read_servers;
mod row;
mod rows;
#[cfg(test)]
mod tests;
mod tool_rules;
mod write_entry;

pub use crate::variables::VariableSyntax;
pub use launch::{Launch, exai_arguments, starts_exai};
pub use places::{Directories, Location, Platform};
pub use read_entry::{ReadRules, TimeoutMeaning, UnreadEntry, read_entry};
pub use read_servers::{FoundServer, FoundServers};
pub use row::{Client, ConfigFile, Container, Rewrites, Role, Scope, Snippet, Switch};
pub use rows::{clients, find_client, location_variables};
pub use tool_rules::ToolRules;
