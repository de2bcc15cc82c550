//! What each member is.

use super::choose_server::{self, Choice, Reason};
use super::hierarchy::View;
use super::io_exchange::Part;
use super::judgement::{Judged, Judgement, Observation, Role};
use super::{describe, evidence_words, known_launchers};

/// Judges what each member is, and how that is known. There is at most one server. Its ancestors are launchers, and
/// so is a process that passes our messages on; the rest are helpers. While there is no server, a process that looks
/// like a launcher is called one.
pub fn judge(seen: &Observation<'_>) -> Judgement {
    let view = View::new(seen);
    let choice = choose_server::server(&view);
    let roles: Vec<Role> = (0..seen.members.len()).map(|index| role(&view, &choice, index)).collect();
    let processes = roles.iter().enumerate().map(|(index, role)| Judged {
        pid: view.facts(index).process.pid,
        role: *role,
        name: name(&view, index),
        evidence: evidence_words::of(&view, &choice, index, *role),
    });
    let processes: Vec<Judged> = processes.collect();
    let explanation = describe::tree(&view, &choice, &processes);
    Judgement { server: choice.server.map(|index| processes[index].pid), processes, explanation }
}

fn role(view: &View<'_>, choice: &Choice, index: usize) -> Role {
    let facts = view.facts(index);
    if view.seen.is_guard(facts) {
        return Role::Guard;
    }
    if choice.server == Some(index) {
        return Role::Server { confirmed: choice.reason.is_proof() };
    }
    let signature = view.signatures[index].as_ref();
    let kind = if forwarded(view, choice, index) {
        Some(known_launchers::RELAY)
    } else {
        signature.map(|signature| signature.kind)
    };
    let is_launcher = match choice.server {
        Some(server) if view.is_below(server, index) => true,
        Some(server) => kind == Some(known_launchers::RELAY) && !view.is_below(index, server),
        None => signature.is_some(),
    };
    if is_launcher { Role::Launcher { kind } } else { Role::Helper }
}

/// Whether it passed on a request that another process was seen to answer.
fn forwarded(view: &View<'_>, choice: &Choice, index: usize) -> bool {
    let part = view.seen.exchange.and_then(|exchange| exchange.part(&view.facts(index).process));
    let passed = match part {
        Some(Part::Forwarded) => true,
        Some(Part::Answered { and_more }) => {
            and_more && choice.server != Some(index) && view.ends(index) != Some(0)
        }
        Some(Part::Nothing | Part::Other) | None => false,
    };
    choice.reason == Reason::Exchange && passed
}

fn name(view: &View<'_>, index: usize) -> String {
    let signature = view.signatures[index].as_ref();
    let title = signature.and_then(|signature| signature.title.clone());
    title.unwrap_or_else(|| view.facts(index).process.name.clone())
}
