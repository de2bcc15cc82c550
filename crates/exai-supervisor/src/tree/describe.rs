//! A tree in a sentence.

use super::choose_server::{Choice, Reason};
use super::hierarchy::View;
use super::judgement::{Judged, Role};
use super::known_launchers::is_console;

/// `None` for a tree of one process that is the server.
pub(super) fn tree(view: &View<'_>, choice: &Choice, processes: &[Judged]) -> Option<String> {
    let below: Vec<&Judged> = processes.iter().filter(|process| process.role != Role::Guard).collect();
    let total = count(below.len(), "process", "processes");
    let mut parts = launchers(choice, processes);
    let Some(server) = choice.server else {
        parts.push(absence(view, choice, below.len()));
        return Some(format!("{total}, no server: {}", parts.join(", ")));
    };
    let server = &processes[server];
    let helpers = view.indices().filter(|index| processes[*index].role == Role::Helper);
    let (consoles, helpers): (Vec<usize>, Vec<usize>) =
        helpers.partition(|index| is_console(view.facts(*index)));
    let (consoles, helpers) = (consoles.len(), helpers.len());
    if helpers > 0 {
        parts.push(count(helpers, "helper", "helpers"));
    }
    if consoles > 0 {
        parts.push(format!("{} (conhost.exe)", count(consoles, "console host", "console hosts")));
    }
    if !below.iter().any(|process| process.pid == view.seen.root) {
        parts.push(format!("what was spawned (pid {}) has exited", view.seen.root));
    }
    if parts.is_empty() {
        return None;
    }
    let presumed = if server.role == (Role::Server { confirmed: true }) { "" } else { ", presumed" };
    // "the first python.exe" is clearer than a pid.
    let who = if helpers == 0 && has_namesake_above(choice, processes) {
        presumed.to_owned()
    } else {
        format!(" ({}, pid {}{presumed})", server.name, server.pid)
    };
    Some(format!("{total}, 1 server{who}: {}", parts.join(", ")))
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `npm exec is the npx launcher`, `sh a shell`, …
fn launchers(choice: &Choice, processes: &[Judged]) -> Vec<String> {
    let is_unique = |name: &str| processes.iter().filter(|process| process.name == name).count() == 1;
    let server = choice.server.map(|server| &processes[server].name);
    let mut said: Vec<String> = Vec::new();
    for process in processes {
        let Role::Launcher { kind } = process.role else { continue };
        let name = if is_unique(&process.name) {
            process.name.clone()
        } else if server == Some(&process.name) && has_namesake_above(choice, processes) {
            format!("the first {}", process.name)
        } else {
            format!("{} (pid {})", process.name, process.pid)
        };
        let verb = if said.is_empty() { " is" } else { "" };
        said.push(format!("{name}{verb} {}", noun(kind)));
    }
    said
}

/// Whether exactly two processes have the server's name: itself, and a launcher.
fn has_namesake_above(choice: &Choice, processes: &[Judged]) -> bool {
    let Some(server) = choice.server.map(|server| &processes[server]) else { return false };
    let launchers = processes.iter().filter(|process| matches!(process.role, Role::Launcher { .. }));
    let same = processes.iter().filter(|process| process.name == server.name).count();
    same == 2 && launchers.filter(|launcher| launcher.name == server.name).count() == 1
}

fn noun(kind: Option<&'static str>) -> String {
    match kind {
        None => "a launcher".to_owned(),
        Some("shell" | "cmd") => "a shell".to_owned(),
        Some("relay") => "a relay".to_owned(),
        Some("wrapper") => "a wrapper".to_owned(),
        Some("trampoline") => "a trampoline".to_owned(),
        Some(kind) => format!("the {kind} launcher"),
    }
}

/// Why no member is the server.
fn absence(view: &View<'_>, choice: &Choice, below: usize) -> String {
    if let Some(listening) = view.seen.listening {
        let addr = listening.addr;
        return match listening.stranger {
            Some(pid) => format!("on {addr} listens pid {pid}, which is none of this tree"),
            None => format!("none of them listens on {addr}"),
        };
    }
    let leads_elsewhere = view.signatures.iter().flatten().find(|signature| signature.leads_elsewhere);
    match leads_elsewhere {
        Some(signature) => format!("what {} starts is not in this tree", signature.label),
        None if choice.reason == Reason::TreeRole && below > 0 => {
            "none is known to speak with us yet".to_owned()
        }
        None => "nothing of this tree lives".to_owned(),
    }
}
