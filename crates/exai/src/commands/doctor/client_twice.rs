//! Does a client start a server itself that exai hosts?

use std::collections::BTreeMap;

use exai_proto::documents::ServerState;
use exai_setup::client::starts_exai;

use super::client_scene::ClientScene;
use super::client_use::entries_in_use;
use super::outcome::{CheckOutcome, listed};
use super::scene::Scene;
use crate::commands::import::comparison::{identify_all, prepare};

pub(super) fn twice(scene: &Scene, clients: &ClientScene) -> CheckOutcome {
    let Ok(config) = &scene.config else {
        return CheckOutcome::skip("config.toml cannot be read, so what exai hosts is not known");
    };
    let hosted = match identify_all(&scene.home, config) {
        Ok(hosted) => hosted,
        Err(error) => return CheckOutcome::skip(error.what().to_owned()),
    };
    let used = entries_in_use(scene, clients);
    let mut twice: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut fixes = Vec::new();
    for file in &clients.files {
        if !used.iter().any(|one| one.file.client.id == file.client.id) {
            continue;
        }
        for entry in file.servers().iter().filter(|entry| !starts_exai(entry)) {
            // What exai could not host is no copy of what it hosts.
            let Ok((_, identity)) = prepare(entry.clone()) else { continue };
            let copy = hosted.iter().find(|(name, one)| *one == identity && !does_not_start(scene, name));
            if let Some((name, _)) = copy {
                twice.entry(file.client.display_name).or_default().push(name.clone());
                fixes.push(format!("exai import --takeover --from {}", file.client.id));
            }
        }
    }
    fixes.dedup();
    if used.is_empty() {
        return CheckOutcome::skip("no client has an entry of exai that leads here");
    }
    if twice.is_empty() {
        return CheckOutcome::pass("no client starts a server itself that exai hosts for it");
    }
    let faults: Vec<String> = twice
        .into_iter()
        .map(|(client, names)| format!("{client} starts {} itself, too", names.join(", ")))
        .collect();
    CheckOutcome::warn(listed(&faults)).fix(listed(&fixes))
}

/// Whether the daemon cannot start a server, or could not when it tried: then nothing is known of what it offers, and it
/// rests. Then its clients rightly start it themselves.
fn does_not_start(scene: &Scene, name: &str) -> bool {
    let servers = scene.status().map_or(&[][..], |status| &status.servers);
    let failed = |state| matches!(state, ServerState::Failed | ServerState::Backoff);
    let mut named = servers.iter().filter(|server| server.name == name);
    named.any(|server| failed(server.state) || (server.state == ServerState::Idle && server.tools.is_none()))
}
