//! The MCP clients that exai knows: one row each.

mod desktop;
mod editors;
mod extensions;
mod terminal;
mod usual;

use std::sync::LazyLock;

use super::places::Location;
use super::row::Client;

/// All clients, in the order in which they are shown.
pub fn clients() -> &'static [Client] {
    static CLIENTS: LazyLock<Vec<Client>> = LazyLock::new(|| {
        [desktop::CLIENTS, editors::CLIENTS, extensions::CLIENTS, terminal::CLIENTS].concat()
    });
    &CLIENTS
}

/// The client with this id.
pub fn find_client(id: &str) -> Option<&'static Client> {
    clients().iter().find(|client| client.id == id)
}

/// The environment variables that move the files of a client: what [`super::Directories::variables`] may hold.
pub fn location_variables() -> Vec<&'static str> {
    let locations = clients().iter().flat_map(|client| client.files).flat_map(|file| file.locations);
    let mut names: Vec<_> = locations.filter_map(Location::variable).collect();
    names.sort_unstable();
    names.dedup();
    names
}
