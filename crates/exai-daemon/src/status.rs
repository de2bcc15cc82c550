//! The status document, put together from what the hub knows and what the system says.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use exai_config::{Config, ServerConfig};
use exai_mux::view::{ClientView, InstanceView, ServerView};
use exai_mux::{ClientId, InstanceId};
use exai_os::process::ProcessInfo;
use exai_proto::documents::{
    Client, Daemon, Finding, Instance, Launcher, ListedServer, Listener, Processes, SCHEMA, Server,
    ServerState, Servers, State, Status,
};

use crate::builtin;

/// What does not change while the daemon runs, and where it listens.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) instance: String,
    pub(crate) pid: u32,
    pub(crate) identity: exai_os::process::Identity,
    pub(crate) started_at: jiff::Timestamp,
    pub(crate) exe: String,
    pub(crate) home: String,
    pub(crate) launchers: Vec<Launcher>,
    pub(crate) local: String,
    pub(crate) tcp: Mutex<Vec<Tcp>>,
}

/// One TCP address the daemon wants to serve.
#[derive(Debug, Clone)]
pub(crate) enum Tcp {
    Open(std::net::SocketAddr),
    /// It could not be bound; it is tried again.
    Missing {
        addr: std::net::SocketAddr,
        reason: String,
    },
}

impl Tcp {
    pub(crate) fn addr(&self) -> std::net::SocketAddr {
        match self {
            Tcp::Open(addr) | Tcp::Missing { addr, .. } => *addr,
        }
    }
}

impl About {
    pub(crate) fn tcp(&self) -> Vec<Tcp> {
        self.tcp.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the daemon listens: what it has bound itself.
    pub(crate) fn bound(&self) -> Vec<Listener> {
        let listener = |kind: &str, addr: String| Listener {
            kind: kind.to_owned(),
            addr,
            owner_pid: Some(self.pid),
            verified: true,
        };
        let tcp = self.tcp().into_iter().filter_map(|tcp| match tcp {
            Tcp::Open(addr) => Some(listener("tcp", addr.to_string())),
            Tcp::Missing { .. } => None,
        });
        [listener("local", self.local.clone())].into_iter().chain(tcp).collect()
    }

    /// Where the daemon listens, and what the system says now about who does. Takes milliseconds. The local
    /// socket's name was made for this daemon alone, so there is nobody to ask about it.
    fn verified(&self) -> Vec<Listener> {
        let check = |listener: Listener| match listener.addr.parse() {
            Ok(addr) if listener.kind == "tcp" => {
                let verified = exai_os::port::is_listening(addr, self.pid).unwrap_or(false);
                let owner_pid =
                    if verified { Some(self.pid) } else { exai_os::port::owner(addr).ok().flatten() };
                Listener { owner_pid, verified, ..listener }
            }
            Ok(_) | Err(_) => listener,
        };
        self.bound().into_iter().map(check).collect()
    }
}

/// What is known of a client's connection.
#[derive(Debug, Clone)]
pub(crate) struct ClientFacts {
    pub(crate) transport: &'static str,
    pub(crate) label: Option<String>,
    pub(crate) shim_pid: Option<u32>,
    pub(crate) connected_at: jiff::Timestamp,
    /// The command line's own conversation is not a client.
    pub(crate) shown: bool,
}

/// What is known of an instance's process.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFacts {
    pub(crate) id: InstanceId,
    pub(crate) server: Arc<str>,
    pub(crate) number: u32,
    pub(crate) started_at: jiff::Timestamp,
    pub(crate) restarts: u32,
    pub(crate) root_pid: Option<u32>,
    /// Where the hub knows better than the router.
    pub(crate) state: Option<ServerState>,
}

/// Everything the hub knows that the document needs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) daemon: Arc<About>,
    pub(crate) stopping: bool,
    pub(crate) clients: HashMap<ClientId, ClientFacts>,
    pub(crate) router_clients: Vec<ClientView>,
    pub(crate) servers: Vec<ServerView>,
    pub(crate) shares: HashMap<Arc<str>, &'static str>,
    pub(crate) instances: Vec<InstanceFacts>,
}

impl Facts {
    /// The document. Reads the system's process list.
    pub(crate) fn document(self) -> Status {
        let processes = exai_os::process::snapshot().unwrap_or_default();
        let clients = self.clients(&processes);
        let servers: Vec<Server> =
            self.servers.iter().map(|server| self.server(server, &processes)).collect();
        let findings = self.findings();
        let members: u32 =
            servers.iter().flat_map(|server| &server.instances).map(|instance| instance.processes).sum();
        let shims: BTreeSet<u32> = clients.iter().filter_map(|client| client.shim_pid).collect();
        let alive = |pid: u32| processes.iter().any(|process| process.pid == pid && !process.zombie);
        let expected = 1 + shims.len() as u32 + members;
        let actual = 1 + shims.iter().filter(|shim| alive(**shim)).count() as u32 + members;
        let missing = self.daemon.tcp().iter().any(|tcp| matches!(tcp, Tcp::Missing { .. }));
        let state = match (self.stopping, missing) {
            (true, _) => State::Draining,
            (false, true) => State::Degraded,
            (false, false) => State::Running,
        };
        let word = match state {
            State::Draining => "stopping",
            State::Degraded => "degraded",
            _ => "running",
        };
        let running = servers.iter().filter(|server| !server.instances.is_empty()).count();
        let verdict = format!(
            "{word}; {}, {}, {actual} of {expected} processes expected",
            count(clients.len(), "client"),
            count(running, "server"),
        );
        let about = &self.daemon;
        let uptime = jiff::Timestamp::now().duration_since(about.started_at);
        Status {
            schema: SCHEMA,
            state,
            verdict,
            home: about.home.clone(),
            daemon: Some(Daemon {
                instance: about.instance.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: about.pid,
                started_at: about.started_at.to_string(),
                uptime_s: (uptime.as_secs_f64() * 10.0).round() / 10.0,
                exe: about.exe.clone(),
                // The document comes from the process itself.
                identity_verified: true,
                launchers: about
                    .launchers
                    .iter()
                    .map(|launcher| Launcher { alive: alive(launcher.pid), ..launcher.clone() })
                    .collect(),
                listeners: about.verified(),
            }),
            record: None,
            processes: Processes { expected, actual, unexpected: Vec::new() },
            clients,
            servers,
            findings,
        }
    }

    fn clients(&self, processes: &[ProcessInfo]) -> Vec<Client> {
        let parent = |pid| processes.iter().find(|process| process.pid == pid).map(|process| process.ppid);
        let shown = self.router_clients.iter().filter_map(|view| {
            let facts = self.clients.get(&view.id).filter(|facts| facts.shown)?;
            Some(Client {
                id: view.id.to_string(),
                label: facts.label.clone(),
                name: view.name.clone(),
                version: view.build.clone(),
                era: view.version.clone(),
                transport: facts.transport.to_owned(),
                shim_pid: facts.shim_pid,
                client_pid: facts.shim_pid.and_then(parent),
                in_flight: view.in_flight,
                calls: view.calls,
                connected_at: facts.connected_at.to_string(),
            })
        });
        shown.collect()
    }

    fn server(&self, view: &ServerView, processes: &[ProcessInfo]) -> Server {
        let mut own: Vec<&InstanceFacts> =
            self.instances.iter().filter(|facts| facts.server == view.name).collect();
        own.sort_by_key(|facts| facts.number);
        let instances: Vec<Instance> = own
            .into_iter()
            .map(|facts| instance(facts, view.instances.iter().find(|other| other.id == facts.id), processes))
            .collect();
        Server {
            name: view.name.to_string(),
            state: state_of(view, &instances),
            era: view.version.clone(),
            share: self.shares.get(&view.name).copied().unwrap_or("shared").to_owned(),
            reason: view.failure.clone(),
            instances,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let tcp = self.daemon.tcp();
        let missing = tcp.iter().filter_map(|tcp| match tcp {
            Tcp::Open(_) => None,
            Tcp::Missing { addr, reason } => Some(Finding {
                id: "port-held".to_owned(),
                severity: "warn".to_owned(),
                detail: format!("{addr} could not be bound ({reason}); shims are not affected, ws:// and http:// clients are"),
                fix: Some(format!("end the program that holds port {}, or set another `port` in config.toml", addr.port())),
            }),
        });
        let failed = self.servers.iter().filter_map(|server| {
            let reason = server.failure.as_ref()?;
            Some(Finding {
                id: "server-failed".to_owned(),
                severity: "error".to_owned(),
                detail: format!("server \"{}\" {reason}", server.name),
                fix: Some(format!("exai logs {}", server.name)),
            })
        });
        missing.chain(failed).collect()
    }
}

fn instance(facts: &InstanceFacts, view: Option<&InstanceView>, processes: &[ProcessInfo]) -> Instance {
    let tree = facts.root_pid.map(|root| tree(root, processes)).unwrap_or_default();
    let ready = if view.is_some_and(|view| view.ready) { ServerState::Ready } else { ServerState::Starting };
    Instance {
        id: format!("{}#{}", facts.server, facts.number),
        state: facts.state.unwrap_or(ready),
        started_at: facts.started_at.to_string(),
        guard_pid: None,
        pid: presumed_server(&tree),
        root_pid: facts.root_pid,
        processes: tree.len() as u32,
        rss_bytes: tree.iter().map(|process| process.rss_bytes).sum(),
        restarts: facts.restarts,
        clients: view.map(|view| view.clients.iter().map(ToString::to_string).collect()).unwrap_or_default(),
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn state_of(view: &ServerView, instances: &[Instance]) -> ServerState {
    let any = |state| instances.iter().any(|instance| instance.state == state);
    [ServerState::Ready, ServerState::Starting, ServerState::Stopping]
        .into_iter()
        .find(|state| any(*state))
        .unwrap_or(if view.failure.is_some() { ServerState::Backoff } else { ServerState::Idle })
}

/// A process and everything below it. Children are younger than their parents; anything else is a number
/// used again.
fn tree(root: u32, processes: &[ProcessInfo]) -> Vec<ProcessInfo> {
    let mut tree: Vec<ProcessInfo> =
        processes.iter().filter(|process| process.pid == root && !process.zombie).cloned().collect();
    let mut at = 0;
    while let Some(parent) = tree.get(at).cloned() {
        let children = processes
            .iter()
            .filter(|child| child.ppid == parent.pid && child.start >= parent.start && !child.zombie)
            .cloned();
        tree.extend(children);
        at += 1;
    }
    tree
}

/// The process that speaks MCP, by structure: below the root as long as there is one way to go and the
/// process is a known launcher.
fn presumed_server(tree: &[ProcessInfo]) -> Option<u32> {
    const LAUNCHERS: [&str; 12] =
        ["sh", "dash", "bash", "npx", "npm", "npm exec", "uv", "uvx", "pipx", "cmd.exe", "py.exe", "uv.exe"];
    let mut at = tree.first()?;
    loop {
        let mut children = tree.iter().filter(|process| process.ppid == at.pid);
        let launcher = LAUNCHERS.iter().any(|name| at.name == *name || at.name.starts_with("npm "));
        match (launcher, children.next(), children.next()) {
            (true, Some(only), None) => at = only,
            _ => return Some(at.pid),
        }
    }
}

/// `exai list`: what is configured, with its state.
pub(crate) fn list(config: &Config, facts: &Facts) -> Servers {
    let mut servers = listed(config);
    for server in &mut servers.servers {
        let view = facts.servers.iter().find(|view| *view.name == *server.name);
        server.state = view.map(|view| facts.server(view, &[]).state);
    }
    servers
}

/// What is configured, and the built-in server; states are not known here.
pub fn listed(config: &Config) -> Servers {
    let listed = |(name, server): (&str, &ServerConfig)| ListedServer {
        name: name.to_owned(),
        transport: server.kind().transport().to_owned(),
        command: server.command.clone(),
        args: server.shown_args(),
        url: server.url.clone(),
        share: server.share.name().to_owned(),
        state: None,
    };
    let mut servers: Vec<ListedServer> = config.servers.iter().map(listed).collect();
    if config.servers.get(builtin::NAME).is_none() {
        servers.push(ListedServer {
            name: builtin::NAME.to_owned(),
            transport: "builtin".to_owned(),
            command: None,
            args: Vec::new(),
            url: None,
            share: "shared".to_owned(),
            state: None,
        });
    }
    Servers { schema: SCHEMA, servers }
}
