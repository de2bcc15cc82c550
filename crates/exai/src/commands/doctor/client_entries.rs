//! Are exai's entries still in the files of the clients, and switched on?

use exai_setup::ServerEntry;
use exai_setup::client::{Rewrites, exai_arguments, find_client};

use super::client_scene::{ClientScene, Content, ExaiEntry};
use super::outcome::{CheckOutcome, listed};
use crate::client_config::installs::Install;
use crate::commands::install::handshake::switch_on;

/// The entries that exai has written: are they still there?
pub(super) fn entry(clients: &ClientScene) -> CheckOutcome {
    if let Some(fault) = &clients.installs_fault {
        return CheckOutcome::fail(format!("what exai has written is not known: {fault}"))
            .fix("move installs.json away, and `exai install` each client again");
    }
    let (mut faults, mut fixes) = (Vec::new(), Vec::new());
    for install in &clients.installs {
        let Some(client) = find_client(&install.client) else { continue };
        let Some(file) = clients.find(install) else { continue };
        let (name, path) = (client.display_name, file.path.display());
        let mut found: Vec<String> = match &file.content {
            Content::Missing => vec![format!("{name}: {path} is gone, and exai's entry with it")],
            Content::Unreadable(_) => continue,
            Content::Servers { servers, .. } => install
                .entries
                .iter()
                .filter_map(|written| {
                    let fault = find_change(install, &written.name, servers)?;
                    Some(format!("{name}: the entry `{}` in {path} {fault}", written.name))
                })
                .collect(),
        };
        if found.is_empty() {
            continue;
        }
        faults.append(&mut found);
        let first = if client.rewrites == Rewrites::No { "" } else { "quit the client first: " };
        let id = client.id;
        fixes.push(format!("{first}`exai install {id}` writes it again, `exai uninstall {id}` forgets it"));
    }
    let all = clients.entries().count();
    match (faults.is_empty(), all) {
        (true, 0) => CheckOutcome::skip("no client has an entry of exai (`exai install --all` writes them)"),
        (true, all) => CheckOutcome::pass(format!("{} of exai in the files of clients", entries(all))),
        (false, _) => CheckOutcome::fail(listed(&faults)).fix(listed(&fixes)),
    }
}

pub(super) fn entries(number: usize) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

/// What has become of an entry that exai has written. Reads after "the entry".
fn find_change(install: &Install, name: &str, servers: &[ServerEntry]) -> Option<&'static str> {
    let Some(entry) = servers.iter().find(|entry| entry.name == name) else { return Some("is gone") };
    let Some(args) = exai_arguments(entry) else {
        return Some("starts something else now");
    };
    let names_client = args.windows(2).any(|pair| pair[0] == "--client" && pair[1] == install.client);
    (!names_client).then_some("does not name its client any more (`--client`)")
}

pub(super) fn disabled(clients: &ClientScene) -> CheckOutcome {
    let off: Vec<ExaiEntry<'_>> = clients.entries().filter(|one| one.entry.disabled).collect();
    if off.is_empty() {
        return CheckOutcome::pass("no client has exai switched off");
    }
    let faults: Vec<String> = off
        .iter()
        .map(|one| {
            let (client, path) = (one.file.client.display_name, one.file.path.display());
            format!("{client}: the entry `{}` in {path} is switched off", one.entry.name)
        })
        .collect();
    CheckOutcome::warn(listed(&faults)).fix(switch_on(off[0].file.client))
}
