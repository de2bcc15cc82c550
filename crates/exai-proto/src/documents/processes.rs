//! `exai ps --json`: every process of the system, what it is, and how that is known.

use serde::{Deserialize, Serialize};

/// `exai ps --json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ps {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// How many processes there should be: the daemon, its connected shims, a guard per instance, and what
    /// descends from each instance's root.
    pub expected: u32,
    /// How many of those that are ours there are.
    pub actual: u32,
    /// Processes proven ours that should not be there.
    pub unexpected: Vec<Unexpected>,
    /// All of them, a tree at a time, parents before their children.
    pub processes: Vec<Process>,
    /// What people ask about a tree, answered in words.
    pub explanations: Vec<Explanation>,
}

/// One process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// What it is.
    pub role: Role,
    /// The instance it belongs to (`NAME#N`), or the client's id of a shim.
    pub of: Option<String>,
    /// What kind of launcher: `npx`, `uvx`, `shell`, `venv`, `relay`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its short name.
    pub name: String,
    /// When it started.
    pub started_at: Option<String>,
    /// Its resident memory.
    pub rss_bytes: u64,
    /// Whether it is counted in `expected` and `actual`.
    pub counted: bool,
    /// For a server: whether it was seen to do the input and output of an exchange with us. `false` is
    /// *presumed*: by structure alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// How its role is known.
    pub evidence: Vec<String>,
    /// The protocol revision that this server, or the client of this shim, speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub era: Option<String>,
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It holds the instance lock and answers.
    Daemon,
    /// It connects an MCP client with the daemon.
    Shim,
    /// It ends its tree when the daemon is gone.
    Guard,
    /// It started the server, and does none of its work.
    Launcher,
    /// It speaks MCP with us.
    Server,
    /// Another member of a server's tree.
    Helper,
    /// The program that started a shim.
    Client,
    /// A role of a newer daemon that this build does not know.
    #[serde(other)]
    Unknown,
}

impl Role {
    /// The role in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Daemon => "daemon",
            Role::Shim => "shim",
            Role::Guard => "guard",
            Role::Launcher => "launcher",
            Role::Server => "server",
            Role::Helper => "helper",
            Role::Client => "client",
            Role::Unknown => "unknown",
        }
    }
}

/// A process that is ours and should not be there, or a tree that is too large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unexpected {
    /// `second-daemon`, `left-over`, `escaped`, `unknown-shim` or `too-many`.
    pub kind: String,
    /// The process; of a tree that is too large its root.
    pub pid: u32,
    /// The instance it belongs or belonged to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What was found and how it is known to be ours.
    pub reason: String,
}

/// A sentence about a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The instance, or `daemon`.
    pub of: String,
    /// `2 processes, 1 server: the first python.exe is the venv launcher`.
    pub text: String,
}
