//! Starts a configured server: from its configuration to a running job.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use exai_config::expand::Expanded;
use exai_config::secret_store::SecretStore;
use exai_config::{Containment, Home, ServerConfig, ServerKind, Share as ConfigShare};
use exai_mux::{Down, InstanceId, See};
use exai_os::account::set_variable;
use exai_os::process::Identity;
use exai_os::tree::{Guard, Launch};
use exai_supervisor::record::{self, Recorded, TreeRecord};
use exai_supervisor::{JobEvent, Spec, StdioUse};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::client::input_budget::InputBudget;
use crate::client::message_checks::MessageChecks;
use crate::limits::{FOREVER, SERVER_QUEUE};
use crate::observe::process_monitor::ProcessMonitor;
use crate::state::daemon_info::DaemonInfo;
use crate::upstream::environment::{Environment, with_own};
use crate::upstream::event::{RemoteWay, ServerEvent, Started, StartedProcess};
use crate::upstream::http::remote_client::RemoteClients;
use crate::upstream::http::target::{HttpTarget, OwnTarget};
use crate::upstream::sign_ins::SignIns;
use crate::upstream::startup_cleanup::StartupCleanup;

/// The environment variable of every process of a server: the daemon's nonce and the instance, `NONCE.NAME#N`. It is
/// evidence of where a process comes from, and never enough to end the process: programs that a server opens for the user
/// have the variable as well.
pub(crate) const OWNER: &str = exai_supervisor::leftovers::ENV_MARKER;

/// What a start needs.
pub(crate) struct Host {
    pub(crate) home: Home,
    /// The account's home: working directories are relative to it.
    pub(crate) base: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) startup_cleanup: StartupCleanup,
    pub(crate) remote_clients: RemoteClients,
    pub(crate) sign_ins: SignIns,
    pub(crate) tasks: TaskTracker,
    pub(crate) daemon: Arc<DaemonInfo>,
    pub(crate) monitor: ProcessMonitor,
    /// The budget for unfinished input of clients.
    pub(crate) input_budget: InputBudget,
    /// Checks long messages on another thread.
    pub(crate) message_checks: MessageChecks,
}

impl Host {
    /// Starts a server. An event says when it runs, or why it could not be started.
    pub(crate) fn start(
        &self,
        instance: InstanceId,
        (server, number): (&Arc<str>, u32),
        config: ServerConfig,
        events: &mpsc::Sender<(InstanceId, ServerEvent)>,
        jobs: &mpsc::Sender<(InstanceId, JobEvent)>,
    ) {
        let (events, jobs, tasks) = (events.clone(), jobs.clone(), self.tasks.clone());
        let context = LaunchContext {
            home: self.home.clone(),
            base: self.base.clone(),
            nonce: self.daemon.instance.clone(),
            daemon: self.daemon.identity.clone(),
            server: server.clone(),
            id: format!("{server}#{number}"),
        };
        let (environment, startup_cleanup) = (self.environment.clone(), self.startup_cleanup.clone());
        let (remote_clients, sign_ins) = (self.remote_clients.clone(), self.sign_ins.clone());
        self.tasks.spawn(async move {
            let vars = environment.vars().await;
            startup_cleanup.done().await;
            let owned = tasks.clone();
            // fork and exec take a millisecond or more, and this thread routes.
            let started = tokio::task::spawn_blocking(move || {
                if config.kind() == ServerKind::Remote {
                    return context.reach_remote(&config, &vars, (&remote_clients, &sign_ins));
                }
                context.start_process(&config, &vars, instance, jobs, &owned)
            });
            let outcome = match started.await {
                Ok(outcome) => outcome,
                Err(panic) => Err(Down::not_started(format!("could not be started: BUG: {panic}"))),
            };
            // A hub that has ended drops the job, and that stops the server.
            let _ = events.send((instance, ServerEvent::Started(outcome))).await;
        });
    }
}

/// Why a server could not be started that lacks something, with what may be wrong in its configuration.
fn lacks(config: &ServerConfig, what: &dyn std::fmt::Display) -> Down {
    let sentences = [&[what.to_string()][..], &config.likely_mistakes()].concat().join("; ");
    Down { see: See::Doctor, ..Down::not_started(format!("could not be started: {sentences}")) }
}

/// Where a server is to run, and as which instance.
struct LaunchContext {
    home: Home,
    /// The directory that its working directory is relative to.
    base: PathBuf,
    nonce: String,
    daemon: Identity,
    server: Arc<str>,
    /// `NAME#N`.
    id: String,
}

impl LaunchContext {
    /// Prepares the conversation with a server that runs elsewhere.
    fn reach_remote(
        &self,
        config: &ServerConfig,
        vars: &[(OsString, OsString)],
        (clients, sign_ins): (&RemoteClients, &SignIns),
    ) -> Result<Started, Down> {
        let has_authorization = config.has_authorization();
        let config = self.expand(config, vars)?;
        let vars = &with_own(vars, &config.env);
        let url = config.url.as_deref().unwrap_or_default();
        let (way, target) = match HttpTarget::web_socket(url, &config.headers) {
            Some(target) => (RemoteWay::WebSocket, target),
            None => (RemoteWay::Http, HttpTarget::remote(url, &config.headers)),
        };
        let target = target.map_err(Down::not_started)?;
        let target = match way {
            RemoteWay::Http => {
                let sign_in = (!has_authorization).then(|| sign_ins.of_server(&self.server, &config));
                match sign_in.transpose().map_err(Down::not_started)? {
                    Some(sign_in) => target.with_sign_in(sign_in),
                    None => target,
                }
            }
            // MCP knows no sign-in there.
            RemoteWay::WebSocket => target,
        };
        let client = clients.get(vars).map_err(Down::not_started)?;
        Ok(Started::Remote(way, Box::new(target), client))
    }

    /// Starts the process of a server.
    fn start_process(
        &self,
        config: &ServerConfig,
        vars: &[(OsString, OsString)],
        instance: InstanceId,
        jobs: mpsc::Sender<(InstanceId, JobEvent)>,
        tasks: &TaskTracker,
    ) -> Result<Started, Down> {
        let mut record = self.build_record(config);
        let (spec, target) = self.build_spec(&record, config, vars)?;
        if let Some(target) = &target {
            target.make_room().map_err(Down::not_started)?;
        }
        // The intent comes first: after a crash the next daemon knows that a process may be there.
        let mut written = record.write(&self.home.servers_dir());
        // If the disk is full, the record stays in memory until there is room.
        let known = |guard: Option<&Identity>, root: &Identity| {
            self.complete_record(&mut record, guard, root);
            written = record.write(&self.home.servers_dir());
        };
        let started = exai_supervisor::start(&spec, instance, jobs, tasks, known);
        let job = started.map_err(|error| {
            // The record stays only if it cannot be removed.
            let _ = record.remove(&self.home.servers_dir());
            Down::not_started(format!("could not be started: {}: {error}", spec.launch.program.display()))
        })?;
        let max_processes = config.max_processes;
        let via = config.via.clone();
        Ok(Started::Process(Box::new(StartedProcess { job, record, written, max_processes, target, via })))
    }

    /// The configuration with all that `${…}` stands for.
    fn expand(&self, config: &ServerConfig, vars: &[(OsString, OsString)]) -> Result<Expanded, Down> {
        let secrets = if config.find_secrets().is_empty() {
            SecretStore::default()
        } else {
            SecretStore::load(&self.home).map_err(|error| lacks(config, &error))?
        };
        config.expand(vars, &secrets).map_err(|error| lacks(config, &error))
    }

    /// The program, arguments and environment of a server, and its URL if it has one. The error reads after "the server".
    fn build_spec(
        &self,
        record: &TreeRecord,
        config: &ServerConfig,
        vars: &[(OsString, OsString)],
    ) -> Result<(Spec, Option<OwnTarget>), Down> {
        if config.kind() == ServerKind::Listening
            && matches!(config.share, ConfigShare::Client | ConfigShare::Project)
        {
            let share = config.share.name();
            return Err(Down::not_started(format!(
                "could not be started: with a `url` there is one process for all clients, and `share = \"{share}\" asks for more"
            )));
        }
        let start_timeout = config.start_timeout.min(FOREVER);
        let given = config;
        let lacks = |what: &dyn std::fmt::Display| lacks(given, what);
        let config = self.expand(config, vars)?;
        let (command, args) = match (&given.via, &config.command) {
            (Some(via), _) => (exai_config::SSH, via.ssh_args(&config.args)),
            (None, Some(command)) => (&**command, config.args),
            (None, None) => return Err(lacks(&"it has neither a `command` nor a `url`")),
        };
        let url = config.url.as_deref();
        let target = url.map(|url| OwnTarget::new(url, &config.headers, start_timeout)).transpose();
        let target = target.map_err(Down::not_started)?;
        let cwd = match &config.cwd {
            Some(cwd) => self.base.join(cwd),
            None => self.base.clone(),
        };
        if !cwd.is_dir() {
            return Err(lacks(&format!("its working directory {} does not exist", cwd.display())));
        }
        let mut env = with_own(vars, &config.env);
        let owner = format!("{}.{}", self.nonce, self.id);
        set_variable(&mut env, OWNER, owner.clone().into());
        let program = exai_os::search::resolve(command, &cwd, &env).map_err(|error| lacks(&error))?;
        let own = exai_os::tree::own_program().map_err(|error| lacks(&error))?;
        let guard = Guard {
            program: own,
            args: ["guard", &self.nonce, &self.id].map(OsString::from).to_vec(),
            // The guard says to which state directory and instance it belongs.
            env: vec![
                (exai_config::environment::HOME.name.into(), self.home.path().into()),
                (OWNER.into(), owner.clone().into()),
            ],
        };
        let spec = Spec {
            launch: Launch {
                program,
                args: args.into_iter().map(OsString::from).collect(),
                env,
                cwd,
                kill_scope: record.containment.kill_scope(),
                descent_tag: record.descent_tag(),
                guard,
            },
            stdio_use: if target.is_some() { StdioUse::Elsewhere } else { StdioUse::Stdio },
            log: self.home.server_log(&self.server),
            line_limit: exai_proto::limits::MESSAGE_BYTES,
            queue_limit: SERVER_QUEUE,
        };
        Ok((spec, target))
    }

    /// The record of a tree that is about to be started.
    fn build_record(&self, config: &ServerConfig) -> TreeRecord {
        TreeRecord {
            schema: record::SCHEMA,
            instance: self.nonce.clone(),
            daemon: self.daemon.clone(),
            server: self.server.to_string(),
            id: self.id.clone(),
            started_at: jiff::Timestamp::now().to_string(),
            containment: match config.containment {
                Containment::Strict => record::Containment::Strict,
                Containment::Group => record::Containment::Group,
            },
            processes: Vec::new(),
        }
    }

    /// Adds guard and root to the record. The program does not run yet.
    fn complete_record(&self, record: &mut TreeRecord, guard: Option<&Identity>, root: &Identity) {
        let recorded = |identity: &Identity, place, name: &str| Recorded {
            pid: identity.pid,
            identity: identity.clone(),
            place,
            name: name.to_owned(),
        };
        record.processes =
            guard.map(|guard| recorded(guard, record::TreeRole::Guard, "exai")).into_iter().collect();
        record.processes.push(recorded(root, record::TreeRole::Root, &self.server));
    }
}
