//! What each member is.

use std::net::SocketAddr;

use super::choose::{self, Choice, Reason};
use super::exchange::{Exchange, Part};
use super::look::Facts;
use super::view::View;
use super::{evidence, explain, signature};

/// What a process of a server's tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It ends its tree when the daemon is gone.
    Guard,
    /// It started the server and does none of its work, or passes on all of it.
    Launcher {
        /// `npx`, `uvx`, `shell`, `venv`, `relay`, …; `None` for one that only its place tells.
        kind: Option<&'static str>,
    },
    /// It speaks MCP with us.
    Server {
        /// It was seen doing so. `false` is *presumed*: by the shape of the tree alone.
        confirmed: bool,
    },
    /// Another member.
    Helper,
}

/// Who listens where a server is to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address of the server's URL.
    pub addr: SocketAddr,
    /// The members that hold the socket: [`super::listeners`].
    pub members: Vec<u32>,
    /// Somebody else who does: [`exai_os::port::owner`]. Read only when no member does.
    pub stranger: Option<u32>,
}

/// Everything a judgement is made of.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The members, parents before their children: [`super::look`] at [`super::members`].
    pub members: &'a [Facts],
    /// The guard, if there is one.
    pub guard: Option<u32>,
    /// The process that was spawned; it may be gone.
    pub root: u32,
    /// The latest exchange that was answered.
    pub exchange: Option<&'a Exchange>,
    /// When `initialize` was answered, by [`exai_os::evidence::clock`]; `None` if it was not.
    pub initialized: Option<u64>,
    /// For a server that is reached by URL: who listens. Its pipes mean nothing then.
    pub listening: Option<&'a Listening>,
}

/// One process, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its process id.
    pub pid: u32,
    /// What it is.
    pub role: Role,
    /// Its short name; what it calls itself where that says more (`npm exec`).
    pub name: String,
    /// How its role is known: short sentences without a subject.
    pub evidence: Vec<String>,
}

/// What a tree consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Every member, in the order of [`Seen::members`].
    pub processes: Vec<Judged>,
    /// The server; `None` when no process of this tree is known to be it.
    pub server: Option<u32>,
    /// What people ask about such a tree, answered in words; `None` when it needs no words.
    pub explanation: Option<String>,
}

impl Judgement {
    /// Whether the server was seen at its work.
    pub fn is_confirmed(&self) -> bool {
        self.processes.iter().any(|process| process.role == Role::Server { confirmed: true })
    }
}

impl Seen<'_> {
    pub(super) fn is_guard(&self, facts: &Facts) -> bool {
        self.guard == Some(facts.process.pid)
    }
}

/// Says what each member is, and how that is known. There is at most one server; its ancestors are launchers,
/// and so is whoever passes our messages on; the rest are helpers. While there is no server, whoever looks
/// like a launcher is called one.
pub fn judge(seen: &Seen<'_>) -> Judgement {
    let view = View::new(seen);
    let choice = choose::server(&view);
    let roles: Vec<Role> = (0..seen.members.len()).map(|index| role(&view, &choice, index)).collect();
    let processes = roles.iter().enumerate().map(|(index, role)| Judged {
        pid: view.facts(index).process.pid,
        role: *role,
        name: name(&view, index),
        evidence: evidence::of(&view, &choice, index, *role),
    });
    let processes: Vec<Judged> = processes.collect();
    let explanation = explain::tree(&view, &choice, &processes);
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
        Some(signature::RELAY)
    } else {
        signature.map(|signature| signature.kind)
    };
    let is_launcher = match choice.server {
        Some(server) if view.is_below(server, index) => true,
        Some(server) => kind == Some(signature::RELAY) && !view.is_below(index, server),
        None => signature.is_some(),
    };
    if is_launcher { Role::Launcher { kind } } else { Role::Helper }
}

/// Whether it passed on a request that somebody else was seen to answer.
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
