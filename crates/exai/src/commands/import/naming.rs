//! The names that servers get in `config.toml`, and those that are there already.

use exai_config::Home;
use exai_setup::import::MergedServer;
use exai_setup::source::make_valid_name;

use super::comparison::identify_all;
use crate::error::Error;

/// A server of the clients, with its name in `config.toml`.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) merged: MergedServer,
    /// Whether `config.toml` has an equal server under that name.
    pub(super) is_known: bool,
}

/// Names the servers. One that equals a server of `config.toml` has its name.
pub(super) fn name_servers(home: &Home, merged: Vec<MergedServer>) -> Result<Vec<Named>, Error> {
    let config = exai_config::load(home)?;
    let known = identify_all(home, &config)?;
    let mut taken: Vec<String> = config.servers.names().map(str::to_owned).collect();
    let mut named = Vec::new();
    for mut merged in merged {
        if let Some((name, _)) = known.iter().find(|(_, one)| *one == merged.identity) {
            merged.leave_choice_to_clients();
            named.push(Named { name: name.clone(), merged, is_known: true });
            continue;
        }
        let valid = make_valid_name(&merged.entry.name, taken.iter().map(String::as_str));
        taken.push(valid.name.clone());
        named.push(Named { name: valid.name, merged, is_known: false });
    }
    Ok(named)
}
