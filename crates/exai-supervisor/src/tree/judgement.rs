//! The input of a judgement, and the judgement.

use std::net::SocketAddr;

use super::io_exchange::Exchange;
use super::member_facts::Facts;

/// What a process of a server's tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It ends its tree when the daemon is gone.
    Guard,
    /// It started the server and does none of its work, or passes on all of it.
    Launcher {
        /// `npx`, `uvx`, `shell`, `venv`, `relay`, …; `None` for a launcher that is known by its place alone.
        kind: Option<&'static str>,
    },
    /// It speaks MCP with us.
    Server {
        /// Whether it was seen doing so. `false` is *presumed*, by the shape of the tree alone.
        confirmed: bool,
    },
    /// Another member.
    Helper,
}

/// Which processes listen at the address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address of the server's URL.
    pub addr: SocketAddr,
    /// The members that hold the socket: [`super::listeners`].
    pub members: Vec<u32>,
    /// Another process that holds the socket: [`exai_os::port::owner`]. Read only when no member does.
    pub stranger: Option<u32>,
}

/// Everything a judgement is made of.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The members, parents before their children: [`super::look()`] at [`super::members()`].
    pub members: &'a [Facts],
    /// The guard, if there is one.
    pub guard: Option<u32>,
    /// The process that was spawned; it may be gone.
    pub root: u32,
    /// The latest exchange that was answered.
    pub exchange: Option<&'a Exchange>,
    /// When `initialize` was answered, by [`exai_os::process_facts::clock`]; `None` if it was not.
    pub initialized: Option<u64>,
    /// For a server that is reached by URL: which processes listen. Its pipes mean nothing then.
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
    /// Every member, in the order of [`Observation::members`].
    pub processes: Vec<Judged>,
    /// The server; `None` when no process of this tree is known to be it.
    pub server: Option<u32>,
    /// An explanation of the tree in words; `None` when it needs none.
    pub explanation: Option<String>,
}

impl Judgement {
    /// Whether the server was seen at its work.
    pub fn is_confirmed(&self) -> bool {
        self.processes.iter().any(|process| process.role == Role::Server { confirmed: true })
    }
}

impl Observation<'_> {
    pub(super) fn is_guard(&self, facts: &Facts) -> bool {
        self.guard == Some(facts.process.pid)
    }
}
