//! Do exai's entries start this exai, for this state directory?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exai_config::{Home, environment};
use exai_os::{account, search};

use super::client_entries::entries;
use super::client_scene::{ClientScene, ExaiEntry};
use super::outcome::{CheckOutcome, listed};
use super::scene::Scene;
use super::second::real;

pub(super) fn program(clients: &ClientScene) -> CheckOutcome {
    let Ok(own) = std::env::current_exe() else {
        return CheckOutcome::skip("this system does not say which program this is");
    };
    let cwd = account::current().map_or_else(|_| PathBuf::from("/"), |account| account.home);
    let vars = environment::of_this_process();
    let mut broken = Vec::new();
    let mut others: BTreeMap<PathBuf, Vec<&str>> = BTreeMap::new();
    let mut fixes = Vec::new();
    let mut number = 0;
    // A variable in the command has the value that the client gives it.
    for one in clients.entries().filter(|one| !one.command.contains("${")) {
        let client = one.file.client;
        number += 1;
        match search::resolve(one.command, &cwd, &vars) {
            Ok(found) if real(&found) == real(&own) => continue,
            Ok(found) => others.entry(found).or_default().push(client.display_name),
            Err(_) => broken.push(format!("{}: there is no program {}", one.file.shown(), one.command)),
        }
        let fix = format!("exai install {}", client.id);
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    let is_broken = !broken.is_empty();
    let own = own.display();
    broken.extend(others.into_iter().map(|(program, mut names)| {
        names.dedup();
        let verb = if names.len() == 1 { "starts" } else { "start" };
        format!("{} {verb} {}, and this is {own}", names.join(", "), program.display())
    }));
    match (broken.is_empty(), is_broken) {
        (true, _) if number == 0 => CheckOutcome::skip("no client has an entry of exai"),
        (true, _) => CheckOutcome::pass(format!("{} of exai start this program", entries(number))),
        (false, true) => CheckOutcome::fail(listed(&broken)).fix(listed(&fixes)),
        (false, false) => CheckOutcome::warn(listed(&broken))
            .fix(format!("{}; or ask the other program: `exai doctor` of its path", listed(&fixes))),
    }
}

pub(super) fn home(scene: &Scene, clients: &ClientScene) -> CheckOutcome {
    let mut others: BTreeMap<PathBuf, Vec<ExaiEntry<'_>>> = BTreeMap::new();
    let mut number = 0;
    for one in clients.entries() {
        let Some(used) = home_of(&one) else { continue };
        number += 1;
        if real(&used) != real(scene.home.path()) {
            others.entry(used).or_default().push(one);
        }
    }
    if number == 0 {
        return CheckOutcome::skip("no client has an entry of exai");
    }
    let own = scene.home.path().display();
    if others.is_empty() {
        return CheckOutcome::pass(format!("{} of exai lead to {own}", entries(number)));
    }
    let mut fixes = Vec::new();
    let faults: Vec<String> = others
        .iter()
        .map(|(used, those)| {
            let mut names: Vec<&str> = those.iter().map(|one| one.file.client.display_name).collect();
            names.dedup();
            let says = if those.iter().all(|one| names_home(one)) { "" } else { ", which is the usual one" };
            fixes.extend(those.iter().map(|one| format!("exai install {}", one.file.client.id)));
            let verb = if names.len() == 1 { "leads" } else { "lead" };
            let used = used.display();
            format!("exai's entry in {} {verb} to {used}{says}, and this is {own}", names.join(", "))
        })
        .collect();
    fixes.dedup();
    CheckOutcome::warn(listed(&faults))
        .fix(format!("{}; or look there: `exai doctor` with EXAI_HOME set to it", listed(&fixes)))
}

fn names_home(one: &ExaiEntry<'_>) -> bool {
    one.env.iter().any(|(name, _)| name == environment::HOME.name)
}

/// The state directory that an entry leads to. `None` if only the client knows.
pub(super) fn home_of(one: &ExaiEntry<'_>) -> Option<PathBuf> {
    match one.env.iter().find(|(name, _)| name == environment::HOME.name) {
        Some((_, value)) if value.contains("${") || !Path::new(value).is_absolute() => None,
        Some((_, value)) => Some(PathBuf::from(value)),
        None => Some(Home::usual().ok()?.path().to_owned()),
    }
}
