//! The documents behind `--json`, schema 1. Fields may be added, never changed; readers ignore what they
//! do not know. Times are RFC 3339 in UTC; sizes are bytes; pids are null where there is no local process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::last_connections::LastConnection;

mod checks;
mod processes;
mod sign_ins;
mod threads;

pub use checks::{Action, Case, Check, CheckStatus, Cleanup, Doctor, Found, SelfTest};
pub use processes::{Explanation, Process, Ps, Role, Unexpected};
pub use sign_ins::{PlannedClient, SignInDocument, SignInDocuments, SignInPlan};
pub use threads::{ListedThread, ShownThread, ShownTurn, Threads};

/// The schema number of every document here.
pub const SCHEMA: u32 = 1;

/// `exai status --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The verdict as one word.
    pub state: RunState,
    /// The verdict as a sentence.
    pub verdict: String,
    /// The state directory.
    pub home: String,
    /// The daemon, or null when none runs.
    pub daemon: Option<Daemon>,
    /// A record on disk that claims a daemon which does not run (state `stale`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<serde_json::Value>,
    /// The process budget.
    pub processes: Processes,
    /// Who is connected.
    pub clients: Vec<Client>,
    /// What is configured.
    pub servers: Vec<Server>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// Where servers are hosted, when this daemon hosts none and another of the account does; a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    /// What the daemon bounds, by name; ARCHITECTURE.md says what happens beyond each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// What it has counted since it started, and what it holds now, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
}

/// `exai why --json`: why the clients of a server share its processes, or do not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharingExplanation {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The server's name.
    pub server: String,
    /// Its policy, as the configuration has it: `auto`, `shared`, `client` or `project`.
    pub share: String,
    /// What there is to say, one thought each.
    pub sentences: Vec<String>,
}

/// The daemon's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It runs and serves.
    Running,
    /// It holds the lock and is not ready yet.
    Starting,
    /// It is stopping and finishes what is under way.
    Draining,
    /// It serves, but something is missing (a port, a listener).
    Degraded,
    /// It holds the lock and does not answer.
    Wedged,
    /// A record claims a daemon, and the lock is free.
    Stale,
    /// None runs.
    Stopped,
    /// A state of a newer daemon that this build does not know.
    #[serde(other)]
    Unknown,
}

/// The running daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Daemon {
    /// Its nonce.
    pub instance: String,
    /// Its build.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started_at: String,
    /// For how long it has run, in seconds.
    pub uptime_s: f64,
    /// Its executable.
    pub exe: String,
    /// Whether the process was proven to be the one in the record.
    pub identity_verified: bool,
    /// The processes above it, nearest first.
    pub launchers: Vec<Launcher>,
    /// How it got away from its starter; `null` where the daemon does not say, and for an earlier build.
    #[serde(default)]
    pub detached: Option<Detached>,
    /// Where it listens.
    pub listeners: Vec<Listener>,
}

/// How a daemon got away from its starter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// `session` (Unix), `manager` (the user's service manager has started it: Linux), `alone` (the starter was in no
    /// job), `breakaway`, `wmi`, `inside` (a job kept it); `foreground` when a person runs `exai serve`.
    pub way: String,
    /// Whether it is in a job of another program: `none`, `within` a job that ends no process, or `ends-with-it`.
    /// Always `none` except on Windows.
    pub job: String,
}

impl Detached {
    /// Whether the daemon was started for a client or a command, and not as a daemon by a person or a service
    /// manager.
    pub fn in_passing(&self) -> bool {
        self.way != "foreground"
    }
}

/// A process above the daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launcher {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// What it is: `shell`, `shim`, `service manager`, …
    pub kind: String,
    /// Whether it still runs.
    pub alive: bool,
}

/// One listening socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listener {
    /// `tcp` or `local`.
    pub kind: String,
    /// Address and port, or path.
    pub addr: String,
    /// Who owns it.
    pub owner_pid: Option<u32>,
    /// Whether the system confirmed the owner.
    pub verified: bool,
}

/// Expected and actual processes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Processes {
    /// How many there should be.
    pub expected: u32,
    /// How many there are.
    pub actual: u32,
    /// Those that should not be there.
    pub unexpected: Vec<Unexpected>,
}

/// One connected client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Client {
    /// Its id in this daemon.
    pub id: String,
    /// `--client`.
    pub label: Option<String>,
    /// The name it gave in `initialize`.
    pub name: Option<String>,
    /// The version it gave in `initialize`.
    pub version: Option<String>,
    /// The protocol revision it speaks.
    pub era: Option<String>,
    /// `shim`, `websocket`, `http`, or `origin` for the protocol of the old EXAI daemon.
    pub transport: String,
    /// The shim's process.
    pub shim_pid: Option<u32>,
    /// The shim's parent. Over HTTP: the process that has made all requests of the session so far, and whose end ends
    /// the session, once that is beyond doubt.
    pub client_pid: Option<u32>,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests so far.
    pub calls: u64,
    /// Since when.
    pub connected_at: String,
    /// The name of the token that it has shown (`exai token add`); absent for the account's own token, and for a shim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// One configured server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// The state of its instances together.
    pub state: ServerState,
    /// The protocol revision it speaks, once known.
    pub era: Option<String>,
    /// The sharing policy.
    pub share: String,
    /// Whether it runs elsewhere and is reached by URL, so that none of its processes are on this machine. Daemons of 0.1 did
    /// not say it from the beginning.
    #[serde(default)]
    pub remote: bool,
    /// The machine whose exai hosts it, as ssh knows it: the processes here are ssh's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// How it is reached, as far as that is known: `http` (Streamable HTTP), `sse` (HTTP+SSE) or `ws`; null for a server on
    /// this machine. Daemons of 0.1 did not say it from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// How many tools it offers, without those that the configuration blocks; null before its list is known.
    #[serde(default)]
    pub tools: Option<u64>,
    /// Why it failed last, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it wrote to stderr before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_tail: Option<String>,
    /// Its running instances.
    pub instances: Vec<Instance>,
}

/// The state of a server or of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Configured, not running; the next request starts it.
    Idle,
    /// Started, not initialised yet.
    Starting,
    /// Serving.
    Ready,
    /// Failed, and waiting before the next try.
    Backoff,
    /// Runs elsewhere, and somebody must sign in there.
    SignedOut,
    /// Failed for good, until it is restarted by hand.
    Failed,
    /// Being stopped.
    Stopping,
    /// A state of a newer daemon that this build does not know.
    #[serde(other)]
    Unknown,
}

/// One instance of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    /// `NAME#N`.
    pub id: String,
    /// Its state.
    pub state: ServerState,
    /// When it started.
    pub started_at: String,
    /// Its guard process.
    pub guard_pid: Option<u32>,
    /// The process that speaks MCP.
    pub pid: Option<u32>,
    /// The process that was spawned.
    pub root_pid: Option<u32>,
    /// How many processes its tree has.
    pub processes: u32,
    /// Resident memory of its tree.
    pub rss_bytes: u64,
    /// How often it was restarted.
    pub restarts: u32,
    /// Who uses it.
    pub clients: Vec<String>,
    /// The protocol revision that it speaks, once known.
    #[serde(default)]
    pub era: Option<String>,
}

/// Something a person should know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// A stable name.
    pub id: String,
    /// `info`, `warn` or `error`.
    pub severity: String,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub fix: Option<String>,
}

/// `exai list --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Servers {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The configured servers and the built-in one.
    pub servers: Vec<ListedServer>,
}

/// `exai clients --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredClients {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Every client that exai knows.
    pub clients: Vec<ConfiguredClient>,
}

/// An MCP client on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredClient {
    /// The id, as `exai install` takes it.
    pub id: String,
    /// The name, as its maker writes it.
    pub name: String,
    /// Whether the client seems to be on this machine.
    pub found: bool,
    /// The files that exai's entry goes into, written by exai or pasted by the user.
    pub files: Vec<String>,
    /// Whether one of the files has an entry of exai.
    pub configured: bool,
    /// How many connections of the client the daemon has now.
    pub connected: u64,
    /// The last connection that was recorded; null if there was none.
    #[serde(default)]
    pub last_connected: Option<LastConnection>,
    /// Why a file cannot be read, or why exai's entry in it cannot work.
    pub problem: Option<String>,
}

/// `exai token list --json`. No document holds a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The tokens that have names, in the order in which they were made.
    pub tokens: Vec<ListedToken>,
}

/// One line of `exai token list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedToken {
    /// The name; `exai token remove NAME` revokes it.
    pub name: String,
    /// When it was made.
    pub created_at: String,
}

/// `exai secret list --json`. No document holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// [`SCHEMA`].
    pub schema: u32,
    /// All secrets that are kept or used, sorted by name.
    pub secrets: Vec<ListedSecret>,
}

/// One line of `exai secret list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSecret {
    /// The name; the configuration refers to it as `${secret:NAME}`.
    pub name: String,
    /// Whether a value is kept. A server that uses a secret without a value does not start.
    pub kept: bool,
    /// The servers that use it, and the providers, as `provider NAME`.
    pub used_by: Vec<String>,
}

/// One line of `exai list`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListedServer {
    /// Its name.
    pub name: String,
    /// `stdio`, `http`, `ws`, `ssh` or `builtin`.
    pub transport: String,
    /// The command, if it has one.
    pub command: Option<String>,
    /// Its arguments, secrets redacted.
    pub args: Vec<String>,
    /// The URL, if it has one.
    pub url: Option<String>,
    /// Whose server it is, if another exai hosts it; in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The sharing policy.
    pub share: String,
    /// Its state; null when no daemon runs.
    pub state: Option<ServerState>,
}

/// `daemon.json`: the process id and health record of the daemon, written by the lock holder only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DaemonRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The daemon's process id: a hint; the lock holder is the fact.
    pub pid: u32,
    /// The daemon's nonce.
    pub instance: String,
    /// What proves that a process with this pid is the daemon.
    pub identity: Identity,
    /// When it started.
    pub started_at: String,
    /// Its build.
    pub version: String,
    /// Its executable.
    pub exe: String,
    /// The processes above it at its start.
    pub launchers: Vec<Launcher>,
    /// Where it listens.
    pub listeners: Vec<Listener>,
}

/// Identity of a process: it cannot be reused within one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Which boot of the machine.
    pub boot: String,
    /// The process id.
    pub pid: u32,
    /// The raw start time in the kernel's own unit.
    pub start: u64,
}

impl DaemonRecord {
    /// The address of the local socket.
    pub fn local_address(&self) -> Option<&str> {
        self.listeners.iter().find(|listener| listener.kind == "local").map(|listener| &*listener.addr)
    }
}
