//! The status document, made of what the hub knows and what the system says.

use exai_config::{Config, Home, ServerConfig, ServerKind, Via};
use exai_mux::account;
use exai_mux::view::{HealthView, InstanceView, ServerView};
use exai_proto::documents::{
    Client, Daemon, Instance, Launcher, ListedServer, Processes, Ps, RunState, SCHEMA, Server, ServerState,
    Servers, Status,
};

use crate::observe::facts::{BUILTIN_NAME, Facts, InstanceFacts};
use crate::observe::process_snapshot::{ProcessSnapshot, TreeSnapshot};
use crate::state::daemon_info::Tcp;

impl Facts {
    /// The status document. Reads the process table.
    pub(crate) fn document(self) -> Status {
        let snapshot = ProcessSnapshot::take(&self);
        let clients = self.clients(&snapshot);
        let servers: Vec<Server> =
            self.servers.iter().map(|server| self.server(server, Some(&snapshot))).collect();
        let findings = self.findings();
        let processes = snapshot.budget();
        let missing = self.daemon.tcp().iter().any(|tcp| matches!(tcp, Tcp::Missing { .. }));
        let state = match (self.stopping, missing) {
            (true, _) => RunState::Draining,
            (false, true) => RunState::Degraded,
            (false, false) => RunState::Running,
        };
        let word = match state {
            RunState::Draining => "stopping",
            RunState::Degraded => "degraded",
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
        let hosted = self.servers.iter().filter(|server| *server.name != *BUILTIN_NAME).count();
        let elsewhere = exai_config::other_daemons::tell(&Home::at(&about.home), hosted);
        let uptime = exai_os::process_facts::age(about.identity.start).ok().flatten().unwrap_or_default();
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
                    .map(|launcher| Launcher { alive: snapshot.alive(launcher.pid), ..launcher.clone() })
                    .collect(),
                detached: Some(about.detached.clone()),
                listeners: about.verify_listeners(),
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

    /// The document of `exai ps`. Reads the process table.
    pub(crate) fn ps(&self) -> Ps {
        ProcessSnapshot::take(self).ps(self)
    }

    /// The document of `exai list`: the configured servers and their states.
    pub(crate) fn list(&self) -> Servers {
        self.list_for(None)
    }

    /// The document of `exai list`, with those servers that the client with this label may see.
    pub(crate) fn list_for(&self, client: Option<&str>) -> Servers {
        let mut servers = listed(&self.config);
        if let Some((_, choice)) = client.and_then(|client| self.config.clients.find(client)) {
            servers.servers.retain(|server| choice.has_server(&server.name));
        }
        for server in &mut servers.servers {
            // Of several accounts that which does the most.
            let views = self.servers.iter().filter(|view| account::split(&view.name).0 == server.name);
            server.state = views.map(|view| self.server(view, None).state).max_by_key(|state| busy(*state));
        }
        servers
    }

    /// The protocol revision of an instance, by its name `NAME#N`.
    pub(crate) fn era_of_instance(&self, id: &str) -> Option<String> {
        let (server, number) = id.rsplit_once('#')?;
        let view = self.servers.iter().find(|view| *view.name == *server)?;
        view.instances.iter().find(|one| one.number.to_string() == number)?.version.clone()
    }

    /// The protocol revision of a client, by its id.
    pub(crate) fn era_of_client(&self, id: &str) -> Option<String> {
        self.router_clients.iter().find(|view| view.id.to_string() == id)?.version.clone()
    }

    fn clients(&self, snapshot: &ProcessSnapshot) -> Vec<Client> {
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
                    Some(pid) => snapshot.parent(pid),
                    None => self.session_processes.get(&view.id).copied(),
                },
                in_flight: view.in_flight,
                calls: view.calls,
                connected_at: facts.connected_at.to_string(),
                token: facts.holder.token_name().map(str::to_owned),
            })
        });
        shown.collect()
    }

    /// How a server elsewhere is reached; `None` until it has said something.
    fn find_transport(&self, view: &ServerView, server: &ServerConfig) -> Option<String> {
        let speaks_sse = self.sse_servers.contains(account::split(&view.name).0);
        let transport = if speaks_sse { "sse" } else { server.transport() };
        let is_known = server.kind() == ServerKind::Remote && (speaks_sse || view.version.is_some());
        is_known.then(|| transport.to_owned())
    }

    fn server(&self, view: &ServerView, snapshot: Option<&ProcessSnapshot>) -> Server {
        let mut own: Vec<&InstanceFacts> =
            self.instances.iter().filter(|facts| facts.server == view.name).collect();
        own.sort_by_key(|facts| facts.number);
        let instances: Vec<Instance> = own
            .into_iter()
            .map(|facts| instance(facts, view.instances.iter().find(|other| other.id == facts.id), snapshot))
            .collect();
        let config = self.config.servers.get(account::split(&view.name).0);
        Server {
            name: view.name.to_string(),
            state: state_of(view, &instances),
            era: view.version.clone(),
            share: config.map_or("shared", |server| server.share.name()).to_owned(),
            remote: config.is_some_and(|server| server.kind() == ServerKind::Remote),
            via: config.and_then(|server| server.via.as_ref()).map(ToString::to_string),
            transport: config.and_then(|server| self.find_transport(view, server)),
            tools: view.tools.map(|tools| tools as u64),
            reason: view.health.reason().map(str::to_owned),
            stderr_tail: view.health.stderr_tail().map(str::to_owned),
            instances,
        }
    }
}

fn instance(
    facts: &InstanceFacts,
    view: Option<&InstanceView>,
    snapshot: Option<&ProcessSnapshot>,
) -> Instance {
    let tree = snapshot.and_then(|snapshot| snapshot.tree(facts.id));
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
        pid: tree.and_then(TreeSnapshot::server),
        root_pid: facts.root_pid,
        processes: tree.map_or(0, TreeSnapshot::processes),
        rss_bytes: tree.map_or(0, TreeSnapshot::rss_bytes),
        restarts: facts.restarts,
        clients: view.map(|view| view.clients.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        era: view.and_then(|view| view.version.clone()),
    }
}

/// `9 of 9 processes expected`, or what is wrong.
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
    if let HealthView::SignedOut(_) = view.health {
        // Instances may run: they are refused.
        return ServerState::SignedOut;
    }
    [ServerState::Ready, ServerState::Starting, ServerState::Stopping]
        .into_iter()
        .find(|state| any(*state))
        .unwrap_or(match view.health {
            HealthView::Well => ServerState::Idle,
            HealthView::Resting(_) => ServerState::Backoff,
            HealthView::SignedOut(_) => ServerState::SignedOut,
            HealthView::Failed(_) => ServerState::Failed,
        })
}

/// How much a server in this state does.
fn busy(state: ServerState) -> u8 {
    match state {
        ServerState::Ready => 5,
        ServerState::Starting => 4,
        ServerState::Stopping => 3,
        ServerState::Idle => 2,
        ServerState::Backoff | ServerState::SignedOut => 1,
        ServerState::Failed | ServerState::Unknown => 0,
    }
}

/// The configured servers and the built-in one, without states.
pub fn listed(config: &Config) -> Servers {
    let listed = |(name, server): (&str, &ServerConfig)| ListedServer {
        name: name.to_owned(),
        transport: server.transport().to_owned(),
        command: server.command.clone(),
        args: exai_config::shown_args(&server.args),
        url: server.url.clone(),
        via: server.via.as_ref().map(Via::describe_hop),
        share: server.share.name().to_owned(),
        state: None,
    };
    let mut servers: Vec<ListedServer> = config.servers.iter().map(listed).collect();
    if config.servers.get(BUILTIN_NAME).is_none() {
        servers.push(ListedServer {
            name: BUILTIN_NAME.to_owned(),
            transport: "builtin".to_owned(),
            command: None,
            args: Vec::new(),
            url: None,
            via: None,
            share: "shared".to_owned(),
            state: None,
        });
    }
    Servers { schema: SCHEMA, servers }
}
