//! The status document, put together from what the hub knows and what the system says.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use exai_config::{Config, Home, ServerConfig};
use exai_mux::view::{ClientView, HealthView, InstanceView, ServerView};
use exai_mux::{ClientId, InstanceId};
use exai_os::detach::Bond;
use exai_proto::documents::{
    Client, Daemon, Detached, Finding, Instance, Launcher, ListedServer, Listener, Processes, Ps, SCHEMA,
    Server, ServerState, Servers, State, Status,
};

use crate::core::hub::Garble;
use crate::observe::port_owner::Holder;
use crate::observe::process_monitor::Watch;
use crate::observe::process_snapshot::{Picture, Tree};
use crate::state::config_file::ConfigFile;
use crate::upstream::builtin;

/// What does not change while the daemon runs, where it listens, and the file that configures it.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) instance: String,
    pub(crate) pid: u32,
    pub(crate) identity: exai_os::process::Identity,
    pub(crate) started_at: jiff::Timestamp,
    pub(crate) exe: String,
    pub(crate) home: String,
    pub(crate) launchers: Vec<Launcher>,
    pub(crate) detached: Detached,
    /// The local socket: another one, should somebody remove it.
    pub(crate) local: Mutex<String>,
    pub(crate) tcp: Mutex<Vec<Tcp>>,
    pub(crate) config: ConfigFile,
}

/// One TCP address the daemon wants to serve.
#[derive(Debug, Clone)]
pub(crate) enum Tcp {
    Open(SocketAddr),
    /// It could not be bound; it is tried again.
    Missing {
        addr: SocketAddr,
        reason: String,
    },
}

impl Tcp {
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Tcp::Open(addr) | Tcp::Missing { addr, .. } => *addr,
        }
    }
}

impl About {
    pub(crate) fn local(&self) -> String {
        self.local.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_local(&self, address: String) {
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

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
        [listener("local", self.local())].into_iter().chain(tcp).collect()
    }

    /// Where the daemon listens, and what the system says now about who does. Takes milliseconds. The local
    /// socket's name was made for this daemon alone, so there is nobody to ask about it.
    pub(crate) fn verified(&self) -> Vec<Listener> {
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

impl ClientFacts {
    /// Whether a shim is behind it, on its private link.
    pub(crate) fn is_shim(&self) -> bool {
        self.transport == "shim" && self.shown
    }
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
    /// The processes with which HTTP sessions end.
    pub(crate) session_processes: HashMap<ClientId, u32>,
    pub(crate) router_clients: Vec<ClientView>,
    pub(crate) servers: Vec<ServerView>,
    pub(crate) shares: HashMap<Arc<str>, &'static str>,
    pub(crate) instances: Vec<InstanceFacts>,
    /// By the server.
    pub(crate) garbles: BTreeMap<Arc<str>, Garble>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) watch: Watch,
}

impl Facts {
    /// The document. Reads the system's process list.
    pub(crate) fn document(self) -> Status {
        let picture = Picture::take(&self);
        let clients = self.clients(&picture);
        let servers: Vec<Server> =
            self.servers.iter().map(|server| self.server(server, Some(&picture))).collect();
        let findings = self.findings();
        let processes = picture.budget();
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
            "{word}; {}, {}, {}",
            count(clients.len(), "client"),
            count(running, "server"),
            budget(&processes),
        );
        let about = &self.daemon;
        let hosted = self.servers.iter().filter(|server| *server.name != *builtin::NAME).count();
        let elsewhere = exai_config::elsewhere::tell(&Home::at(&about.home), hosted);
        let uptime = exai_os::evidence::age(about.identity.start).ok().flatten().unwrap_or_default();
        Status {
            schema: SCHEMA,
            state,
            verdict,
            home: about.home.clone(),
            daemon: Some(Daemon {
                instance: about.instance.clone(),
                version: exai_os::build::version().to_owned(),
                pid: about.pid,
                started_at: about.started_at.to_string(),
                uptime_s: (uptime.as_secs_f64() * 10.0).round() / 10.0,
                exe: about.exe.clone(),
                // The document comes from the process itself.
                identity_verified: true,
                launchers: about
                    .launchers
                    .iter()
                    .map(|launcher| Launcher { alive: picture.alive(launcher.pid), ..launcher.clone() })
                    .collect(),
                detached: Some(about.detached.clone()),
                listeners: about.verified(),
            }),
            record: None,
            processes,
            clients,
            servers,
            findings,
            elsewhere,
            limits: crate::observe::counters::limits(),
            counters: self.counters,
        }
    }

    /// The document of `exai ps`. Reads the system's process list.
    pub(crate) fn ps(&self) -> Ps {
        Picture::take(self).ps(self)
    }

    /// The connected shims: pid, and the id of the client.
    pub(crate) fn shims(&self) -> Vec<(u32, String)> {
        let shown = self.clients.iter().filter(|(_, facts)| facts.shown);
        let mut shims: Vec<(u32, String)> =
            shown.filter_map(|(id, facts)| Some((facts.shim_pid?, id.to_string()))).collect();
        shims.sort();
        shims
    }

    fn clients(&self, picture: &Picture) -> Vec<Client> {
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
                client_pid: match facts.shim_pid {
                    Some(pid) => picture.parent(pid),
                    None => self.session_processes.get(&view.id).copied(),
                },
                in_flight: view.in_flight,
                calls: view.calls,
                connected_at: facts.connected_at.to_string(),
            })
        });
        shown.collect()
    }

    fn server(&self, view: &ServerView, picture: Option<&Picture>) -> Server {
        let mut own: Vec<&InstanceFacts> =
            self.instances.iter().filter(|facts| facts.server == view.name).collect();
        own.sort_by_key(|facts| facts.number);
        let instances: Vec<Instance> = own
            .into_iter()
            .map(|facts| instance(facts, view.instances.iter().find(|other| other.id == facts.id), picture))
            .collect();
        Server {
            name: view.name.to_string(),
            state: state_of(view, &instances),
            era: view.version.clone(),
            share: self.shares.get(&view.name).copied().unwrap_or("shared").to_owned(),
            reason: view.health.reason().map(str::to_owned),
            stderr_tail: view.health.stderr_tail().map(str::to_owned),
            instances,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let tcp = self.daemon.tcp();
        let missing = tcp.iter().filter_map(|tcp| match tcp {
            Tcp::Open(_) => None,
            Tcp::Missing { addr, reason } => Some(port_held(*addr, reason)),
        });
        let failed = self.servers.iter().filter_map(|server| {
            let why = server.health.why()?;
            let held = matches!(server.health, HealthView::Failed(_));
            let more = why.command(&server.name);
            let again = (held || more.is_none()).then(|| format!("exai restart {}", server.name));
            let fix: Vec<String> = more.into_iter().chain(again).collect();
            Some(Finding {
                id: "server-failed".to_owned(),
                severity: "error".to_owned(),
                detail: format!("server \"{}\" {}", server.name, why.reason),
                fix: Some(fix.join(", then ")),
            })
        });
        let lists = self.servers.iter().flat_map(|server| {
            server.lists.iter().map(|words| Finding {
                id: "server-list".to_owned(),
                severity: "warn".to_owned(),
                detail: format!("server \"{}\" {words}", server.name),
                fix: Some(format!("exai logs {}", server.name)),
            })
        });
        let garbled = self.garbles.iter().map(|(server, garble)| Finding {
            id: "server-garbled".to_owned(),
            severity: "warn".to_owned(),
            detail: match garble.times {
                1 => format!("{} {}", garble.id, garble.first),
                times => format!("{} {} ({times} times)", garble.id, garble.first),
            },
            fix: Some(format!("exai logs {server}")),
        });
        let unexpected = self.watch.unexpected().into_iter().map(|one| Finding {
            id: format!("unexpected-{}", one.kind),
            severity: "warn".to_owned(),
            detail: format!("pid {}: {}", one.pid, one.reason),
            fix: Some("exai ps".to_owned()),
        });
        let detached = &self.daemon.detached;
        let slow = low_priority(detached, exai_os::heritage::niceness());
        let bonds = if detached.in_passing() { exai_os::detach::bonds() } else { Vec::new() };
        let low = low_limits(&exai_os::inspect::limits().shortages());
        let own = self.daemon.config.findings().into_iter().chain(slow).chain(low);
        let own = own.chain(bonds.into_iter().map(not_apart));
        let own = own.chain(unwritten(&self.watch.unwritten()));
        own.chain(missing).chain(failed).chain(lists).chain(garbled).chain(unexpected).collect()
    }
}

/// Records of trees that cannot be written.
fn unwritten(unwritten: &[(String, String)]) -> Option<Finding> {
    let (_, error) = unwritten.first()?;
    let ids: Vec<&str> = unwritten.iter().map(|(id, _)| id.as_str()).collect();
    Some(Finding {
        id: "record-unwritten".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "the record of {} cannot be written ({error}); its processes are watched all the same, and it is tried again \
             every second",
            ids.join(", ")
        ),
        fix: Some(
            "make room on the disk of the state directory; `exai doctor` says how much there is".to_owned(),
        ),
    })
}

/// That a daemon which was started in passing has a nice value that it could not put back.
fn low_priority(detached: &Detached, nice: i32) -> Option<Finding> {
    (detached.in_passing() && nice > 0).then(|| Finding {
        id: "low-priority".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "the daemon and its servers run with the nice value {nice} of the program that happened to start the daemon, \
             and may not take a better one"
        ),
        fix: Some("exai restart".to_owned()),
    })
}

/// What helps where limits are too low: the command first.
pub const RAISE_LIMITS: &str = "`exai restart` in an ordinary terminal; where that has no more, raise the hard limits (`ulimit -Ha` shows \
                                them, limits.conf or the service's Limit… sets them)";

/// That the daemon could not raise again what its starter's limits were.
fn low_limits(shortages: &[String]) -> Option<Finding> {
    (!shortages.is_empty()).then(|| Finding {
        id: "low-limits".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "the daemon and its servers may have no more than {}: limits of the program that started the daemon, which it \
             may not raise; servers may fail",
            shortages.join(", ")
        ),
        fix: Some(RAISE_LIMITS.to_owned()),
    })
}

/// That somebody else may end a daemon that was started in passing together with what is his own.
fn not_apart(bond: Bond) -> Finding {
    let (is_certain, detail, fix) = match bond {
        Bond::Adopter { pid, name } => (
            true,
            format!(
                "the daemon descends from {name} (pid {pid}), which takes over what its own processes leave behind: if it \
                 ends all that descends from it, it ends the daemon and the servers of all clients"
            ),
            format!("`exai restart` in a terminal that {name} has not started"),
        ),
        Bond::Group { path, is_unit } => {
            let detail = format!(
                "the daemon is in the control group {path}, and so are its servers: {}",
                if is_unit {
                    "systemd ends such a group as a whole when it stops it"
                } else {
                    "if somebody ends that as a whole, they end as well"
                }
            );
            (
                is_unit,
                detail,
                "`exai restart` in a terminal outside of that group, or from anywhere once `systemctl --user status` \
                 answers"
                    .to_owned(),
            )
        }
    };
    Finding {
        id: "not-apart".to_owned(),
        severity: if is_certain { "warn" } else { "info" }.to_owned(),
        detail,
        fix: Some(fix),
    }
}

/// An address that could not be bound, and who has it now. Looks through all processes.
fn port_held(addr: SocketAddr, reason: &str) -> Finding {
    let holder = Holder::of(addr);
    let who = match &holder {
        Holder::Nobody => "no program listens there; it is tried again every 2 s".to_owned(),
        holder => format!("it is held by {holder}"),
    };
    Finding {
        id: "port-held".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "{addr} could not be bound ({reason}): {who}; shims are not affected, ws:// and http:// clients are"
        ),
        fix: Some(format!("{}; see docs/troubleshooting.md#port-held", holder.remedy(addr.port()))),
    }
}

fn instance(facts: &InstanceFacts, view: Option<&InstanceView>, picture: Option<&Picture>) -> Instance {
    let tree = picture.and_then(|picture| picture.tree(facts.id));
    let ready = match view {
        Some(view) if view.retiring => ServerState::Stopping,
        Some(view) if view.ready => ServerState::Ready,
        Some(_) | None => ServerState::Starting,
    };
    Instance {
        id: format!("{}#{}", facts.server, facts.number),
        state: facts.state.unwrap_or(ready),
        started_at: facts.started_at.to_string(),
        guard_pid: tree.and_then(|tree| tree.guard),
        pid: tree.and_then(Tree::server),
        root_pid: facts.root_pid,
        processes: tree.map_or(0, Tree::processes),
        rss_bytes: tree.map_or(0, Tree::rss_bytes),
        restarts: facts.restarts,
        clients: view.map(|view| view.clients.iter().map(ToString::to_string).collect()).unwrap_or_default(),
    }
}

/// `9 of 9 processes expected`, or what is wrong with that.
fn budget(processes: &Processes) -> String {
    let Processes { expected, actual, unexpected } = processes;
    match unexpected.len() {
        0 => format!("{actual} of {expected} processes expected"),
        number => format!("{actual} processes, {expected} expected; {}", count(number, "finding")),
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
        .unwrap_or(match view.health {
            HealthView::Well => ServerState::Idle,
            HealthView::Resting(_) => ServerState::Backoff,
            HealthView::Failed(_) => ServerState::Failed,
        })
}

/// `exai list`: what is configured, with its state.
pub(crate) fn list(config: &Config, facts: &Facts) -> Servers {
    let mut servers = listed(config);
    for server in &mut servers.servers {
        let view = facts.servers.iter().find(|view| *view.name == *server.name);
        server.state = view.map(|view| facts.server(view, None).state);
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
