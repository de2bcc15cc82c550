//! From a configured server to a running job.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exai_config::{Config, Home, ServerConfig, Share as ConfigShare, StartPolicy};
use exai_mux::InstanceId;
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_supervisor::{Job, JobEvent, Spec};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::builtin;
use crate::environment::Environment;
use crate::hub::{HubEvent, HubHandle};
use crate::status::About;

/// How many bytes may wait for one server: two of the largest messages.
const SERVER_BYTES: usize = 2 * exai_proto::limits::MESSAGE_BYTES;

/// The longest time anything is given: larger numbers mean "never", and must not overflow a clock.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// What is needed to start programs.
pub(crate) struct Host {
    pub(crate) home: Home,
    /// What a server's working directory is relative to: the account's home.
    pub(crate) base: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) tasks: TaskTracker,
    pub(crate) about: Arc<About>,
}

impl Host {
    /// Starts a server; the hub hears of it when it runs or could not be started.
    pub(crate) fn start(
        &self,
        instance: InstanceId,
        server: &Arc<str>,
        config: ServerConfig,
        hub: &HubHandle,
        jobs: &mpsc::Sender<(InstanceId, JobEvent)>,
    ) {
        let (hub, jobs, tasks) = (hub.clone(), jobs.clone(), self.tasks.clone());
        let log = self.home.server_log(server);
        let base = self.base.clone();
        let environment = self.environment.clone();
        self.tasks.spawn(async move {
            let vars = environment.vars().await;
            let owned = tasks.clone();
            // fork and exec take a millisecond or more: not on the thread that routes.
            let started = tokio::task::spawn_blocking(move || {
                let spec = spec(&config, &vars, base, log)?;
                exai_supervisor::start(&spec, instance, jobs, &owned)
                    .map_err(|error| format!("could not be started: {}: {error}", spec.program.display()))
            });
            let outcome: Result<Job, String> = match started.await {
                Ok(outcome) => outcome,
                Err(panic) => Err(format!("could not be started: BUG: {panic}")),
            };
            // A hub that is gone drops the job, and that stops it.
            let _ = hub.send(HubEvent::Spawned { instance, outcome }).await;
        });
    }
}

/// The program, arguments and environment of a server; the error reads after "the server".
fn spec(
    config: &ServerConfig,
    vars: &[(OsString, OsString)],
    base: PathBuf,
    log: PathBuf,
) -> Result<Spec, String> {
    let config = config.expand(vars).map_err(|error| format!("could not be started: {error}"))?;
    let Some(command) = &config.command else {
        return Err("has only a url; servers reached by URL are not hosted by this version".to_owned());
    };
    let cwd = match &config.cwd {
        Some(cwd) => base.join(cwd),
        None => base,
    };
    let mut env: HashMap<OsString, OsString> = vars.iter().cloned().collect();
    env.extend(config.env.iter().map(|(name, value)| (name.into(), value.expose().into())));
    let env: Vec<(OsString, OsString)> = env.into_iter().collect();
    let program = exai_os::search::resolve(command, &cwd, &env)
        .map_err(|error| format!("could not be started: {error}"))?;
    Ok(Spec {
        program,
        args: config.args.iter().map(OsString::from).collect(),
        env,
        cwd,
        log,
        line_limit: exai_proto::limits::MESSAGE_BYTES,
        queue_limit: SERVER_BYTES,
    })
}

/// What the router must know of each server, the built-in one last.
pub(crate) fn policies(config: &Config) -> Vec<Policy> {
    let mut policies: Vec<Policy> = config
        .servers
        .iter()
        .map(|(name, server)| Policy {
            name: name.into(),
            revision: revision(server),
            share: match server.share {
                ConfigShare::Auto => Share::Auto,
                ConfigShare::Shared => Share::Shared,
                // Until clients' directories are known, a server per project is a server per client.
                ConfigShare::Client | ConfigShare::Project => Share::Client,
            },
            start_timeout: server.start_timeout.min(FOREVER),
            call_timeout: server.call_timeout.min(FOREVER),
            idle_stop: server.idle_stop.min(FOREVER),
            eager: server.start == StartPolicy::Eager,
            tools: ToolFilter { allow: server.tools.allow.clone(), deny: server.tools.deny.clone() },
        })
        .collect();
    if config.servers.get(builtin::NAME).is_none() {
        policies.push(builtin::policy());
    }
    policies
}

/// The sharing policy of each server, as it is written.
pub(crate) fn shares(config: &Config) -> HashMap<Arc<str>, &'static str> {
    config.servers.iter().map(|(name, server)| (name.into(), server.share.name())).collect()
}

/// Differs whenever the program would have to be started differently.
fn revision(server: &ServerConfig) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&server.command, &server.args, &server.cwd, &server.url).hash(&mut hasher);
    server.env.iter().for_each(|pair| pair.hash(&mut hasher));
    server.headers.iter().for_each(|pair| pair.hash(&mut hasher));
    server.share.name().hash(&mut hasher);
    hasher.finish()
}
