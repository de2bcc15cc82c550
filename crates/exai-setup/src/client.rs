//! The MCP clients that exai knows, and what exai does with their configuration files.

mod command_line;
mod edit_entry;
mod launch;
mod places;
mod read_entry;
mod read_servers;
mod row;
mod rows;
#[cfg(test)]
mod tests;
mod variables;
mod write_entry;

pub use launch::{Launch, starts_exai};
pub use places::{Directories, Location, Platform};
pub use read_entry::{ReadRules, TimeoutMeaning, UnreadEntry, read_entry};
pub use read_servers::{FoundServer, FoundServers};
pub use row::{Client, ConfigFile, Container, Role, Scope, Snippet, Switch};
pub use rows::{clients, find_client, location_variables};
pub use variables::VariableSyntax;
