//! How a role is known, in the words that `exai ps` shows.

use super::choose_server::{Choice, Reason};
use super::hierarchy::View;
use super::io_exchange::Part;
use super::judgement::Role;

pub(super) fn of(view: &View<'_>, choice: &Choice, index: usize, role: Role) -> Vec<String> {
    if role == Role::Guard {
        return vec!["the guard of this tree".to_owned()];
    }
    let mut said = socket(view, index);
    if view.seen.listening.is_none() {
        said.extend(pipes(view, index));
        said.extend(exchange(view, index, role));
    }
    if matches!(role, Role::Server { .. }) && view.seen.initialized.is_some() {
        said.push("answered initialize".to_owned());
    }
    if matches!(role, Role::Server { confirmed: false }) {
        said.push(presumed(view, choice, index).to_owned());
    }
    if let (Role::Launcher { .. } | Role::Server { .. }, Some(signature)) = (role, &view.signatures[index]) {
        said.push(signature.label.clone());
    }
    said.extend(place(view, choice, index, role));
    said
}

fn socket(view: &View<'_>, index: usize) -> Vec<String> {
    let owned = view.seen.listening.filter(|by| by.members.contains(&view.facts(index).process.pid));
    owned.map(|by| format!("owns the LISTEN socket {}", by.addr)).into_iter().collect()
}

fn pipes(view: &View<'_>, index: usize) -> Vec<String> {
    let facts = view.facts(index);
    let ends = [(facts.stdin, "holds the stdin pipe"), (facts.stdout, "holds the stdout pipe")];
    ends.into_iter().filter(|(held, _)| *held == Some(true)).map(|(_, words)| words.to_owned()).collect()
}

fn exchange(view: &View<'_>, index: usize, role: Role) -> Option<String> {
    let part = view
        .seen
        .exchange
        .filter(|exchange| !exchange.lost && exchange.was_read())?
        .part(&view.facts(index).process)?;
    let words = match part {
        Part::Answered { and_more: true } if matches!(role, Role::Launcher { .. }) => {
            "passed the last ping on"
        }
        Part::Answered { .. } => "did the I/O of the last ping",
        Part::Forwarded if role == (Role::Server { confirmed: false }) => {
            "did the I/O of the last ping, and wrote as much as it read"
        }
        Part::Forwarded => "passed the last ping on",
        // A process that does not talk to us is not expected to have a part.
        Part::Nothing if role == Role::Helper && view.ends(index) == Some(0) => return None,
        Part::Nothing => "did none of the I/O of the last ping",
        Part::Other => return None,
    };
    Some(words.to_owned())
}

fn presumed(view: &View<'_>, choice: &Choice, index: usize) -> &'static str {
    match (choice.reason, view.ends(index)) {
        (Reason::Alone, _) => "presumed: nobody else in the tree did any",
        (_, Some(_)) => "presumed: the deepest process on our pipes that is no known launcher",
        (_, None) => "presumed: the first process that is no known launcher",
    }
}

/// Its place in the tree, if its role is known by its place.
fn place(view: &View<'_>, choice: &Choice, index: usize, role: Role) -> Option<String> {
    let process = &view.facts(index).process;
    let words = match role {
        // Other launchers are known by more than their place.
        Role::Launcher { kind: None } => "above the server",
        Role::Helper if super::known_launchers::is_console(view.facts(index)) => "a console host of Windows",
        Role::Helper if choice.server.is_some_and(|server| view.is_below(index, server)) => {
            "below the server"
        }
        Role::Helper if view.seen.guard == Some(process.ppid) && process.pid != view.seen.root => {
            "lost its parent; the guard has it"
        }
        Role::Helper => "in the tree",
        Role::Guard | Role::Launcher { .. } | Role::Server { .. } => return None,
    };
    Some(words.to_owned())
}
