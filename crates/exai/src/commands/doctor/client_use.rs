//! Do the clients use exai, and do they see all of it?

use std::time::Duration;

use exai_config::ToolFilter;
use exai_proto::last_connections::RECORD_INTERVAL;
use exai_setup::client::{Client, find_client};
use jiff::Timestamp;

use super::client_program::home_of;
use super::client_scene::{ClientScene, ExaiEntry};
use super::outcome::{CheckOutcome, listed};
use super::scene::Scene;
use super::second::real;
use crate::client_config;
use crate::client_config::installs::Install;
use crate::commands::count;
use crate::commands::install::handshake::choose_fewer;
use crate::limits::{INSTALLED_CLIENT_GRACE, RUNNING_CLIENT_GRACE};
use crate::time_span::span;

/// The entries that lead here and are switched on.
pub(super) fn entries_in_use<'a>(scene: &Scene, clients: &'a ClientScene) -> Vec<ExaiEntry<'a>> {
    let home = real(scene.home.path());
    let leads_here = |one: &ExaiEntry<'_>| home_of(one).is_some_and(|used| real(&used) == home);
    clients.entries().filter(|one| !one.entry.disabled && leads_here(one)).collect()
}

pub(super) fn connected(scene: &Scene, clients: &ClientScene) -> CheckOutcome {
    let used = entries_in_use(scene, clients);
    let (mut faults, mut fixes) = (Vec::new(), Vec::new());
    let mut number = 0;
    for install in &clients.installs {
        let Some(client) = find_client(&install.client) else { continue };
        if !used.iter().any(|one| one.file.client.id == client.id && one.file.path == install.path) {
            continue;
        }
        number += 1;
        let Some(age) = has_waited(scene, clients, client, install) else { continue };
        let (name, path) = (client.display_name, install.path.display());
        faults.push(format!("{name} has not connected since exai came into {path} {} ago", span(age)));
        fixes.push(client.reload.to_owned());
    }
    match (faults.is_empty(), number) {
        (true, 0) => CheckOutcome::skip("exai is in use in no client that `exai install` has written to"),
        (true, number) => {
            CheckOutcome::pass(format!("{} connected since, or had no time to yet", count(number, "client")))
        }
        (false, _) => CheckOutcome::warn(listed(&faults)).fix(listed(&fixes)),
    }
}

/// How long a client has not connected since exai came into its file, if that is too long.
fn has_waited(scene: &Scene, clients: &ClientScene, client: &Client, install: &Install) -> Option<Duration> {
    let connected = scene.status().map_or(&[][..], |status| &status.clients);
    if connected.iter().any(|one| one.label.as_deref() == Some(client.id)) {
        return None;
    }
    let installed: Timestamp = install.at.as_deref()?.parse().ok()?;
    let last = clients.last.clients.get(client.id).and_then(|last| last.at.parse::<Timestamp>().ok());
    // A connection that came within a minute of another one was not recorded.
    if last.is_some_and(|last| last.saturating_add(RECORD_INTERVAL).is_ok_and(|last| last >= installed)) {
        return None;
    }
    // A time to come is none of this clock.
    let age: Duration = Timestamp::now().duration_since(installed).try_into().ok()?;
    let runs = || client_config::is_running(client, &scene.processes);
    (age >= INSTALLED_CLIENT_GRACE || (age >= RUNNING_CLIENT_GRACE && runs())).then_some(age)
}

pub(super) fn tools(scene: &Scene, clients: &ClientScene) -> CheckOutcome {
    let Some(status) = scene.status() else {
        return CheckOutcome::skip("the daemon knows how many tools there are, and none answers");
    };
    let used = entries_in_use(scene, clients);
    let (mut faults, mut fixes) = (Vec::new(), Vec::new());
    // Files of one client say the same, or `client-copies` says that they do not.
    for several in used.chunk_by(|one, other| one.file.client.id == other.file.client.id) {
        let client = several[0].file.client;
        let Some(limit) = client.tool_limit else { continue };
        let choice = scene.config.as_ref().ok().and_then(|config| config.clients.find(client.id));
        // A choice of single tools is not counted: the daemon does not say how many it leaves.
        if choice.is_some_and(|(_, choice)| choice.tools != ToolFilter::default()) {
            continue;
        }
        let wanted: Vec<Vec<&str>> = several.iter().map(wanted_servers).collect();
        let servers = status
            .servers
            .iter()
            .filter(|server| wanted.iter().any(|wanted| wanted.is_empty() || wanted.contains(&&*server.name)))
            .filter(|server| choice.is_none_or(|(_, choice)| choice.has_server(&server.name)));
        let offered: u64 = servers.filter_map(|server| server.tools).sum();
        if offered > limit as u64 {
            let name = client.display_name;
            faults.push(format!("{name} takes about {limit} tools, and exai alone offers it {offered}"));
            fixes.push(choose_fewer(client));
        }
    }
    if used.is_empty() {
        return CheckOutcome::skip("no client has an entry of exai that leads here");
    }
    if faults.is_empty() {
        return CheckOutcome::pass("no client is offered more tools than it takes, as far as both is known");
    }
    CheckOutcome::warn(listed(&faults)).fix(listed(&fixes))
}

/// The servers that an entry names. Without any it is for all.
fn wanted_servers<'a>(one: &ExaiEntry<'a>) -> Vec<&'a str> {
    let pairs = one.args.windows(2).filter(|pair| pair[0] == "--server");
    pairs.map(|pair| pair[1].as_str()).collect()
}
