//! The life of the daemon: settle, build, bind, serve, drain.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exai_config::{Home, HomeError};
use exai_os::detach::{self, DetachMethod, Tether};
use exai_os::failpoint;
use exai_os::local::{Endpoint, Listener};
use exai_os::lock::{self, Claim, HeldLock};
use exai_proto::documents::{Detached, Launcher};
use exai_proto::link::ByeReason;
use exai_proto::ready::Readiness;
use exai_supervisor::leftovers::Living;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::http_sessions::Sessions;
use crate::client::input_budget::InputBudget;
use crate::client::message_checks::MessageChecks;
use crate::core::event::{HubEvent, HubHandle};
use crate::core::hub::Hub;
use crate::front::listener::{self, Listeners};
use crate::front::state::AppState;
use crate::limits::{
    DRAIN_TIMEOUT, INSTANCE_LOCK_TIMEOUT, MAX_HUB_EVENTS, TASKS_END_TIMEOUT, max_tcp_connections,
};
use crate::observe::process_monitor::ProcessMonitor;
use crate::state::admission::Admission;
use crate::state::config_file::ConfigFile;
use crate::state::daemon_info::DaemonInfo;
use crate::state::logging;
use crate::state::record;
use crate::state::token;
use crate::upkeep::self_check::{Kept, SelfCheck};
use crate::upkeep::startup_watch::StartupWatch;
use crate::upstream::environment::Environment;
use crate::upstream::http::remote_client::RemoteClients;
use crate::upstream::launch::Host;
use crate::upstream::sign_ins::SignIns;
use crate::upstream::startup_cleanup::StartupCleanup;

/// What a daemon is started with.
#[derive(Debug)]
pub struct Options {
    /// The state directory of this instance.
    pub home: Home,
    /// Where the daemon says that it is ready; see [`Readiness`].
    pub ready: Option<std::fs::File>,
    /// How the daemon got away from its starter. `None` for one that runs in the foreground.
    pub way: Option<DetachMethod>,
    /// The process that has started the daemon and waits until it is ready. `None` for one in the foreground.
    pub starter: Option<u32>,
    /// Ends this process when its start hangs. The caller of [`serve`] gets no answer then.
    pub give_up: fn(),
}

/// Why a daemon could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon holds the instance lock.
    #[error("another daemon holds the lock{}", holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    LockHeld {
        /// Its process id, if its record tells.
        holder: Option<u32>,
    },
    /// A file or directory is not safe to use.
    #[error("{0}")]
    Unsafe(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] exai_config::ConfigError),
    /// The system refused something.
    #[error("{what}: {error}")]
    Io {
        /// What was tried: "failed to …".
        what: &'static str,
        /// The system's answer.
        error: io::Error,
    },
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |error| ServeError::Io { what, error }
}

/// Runs the daemon in this process until it is asked to stop. Blocks.
pub fn serve(options: Options) -> Result<(), ServeError> {
    let starting = StartupWatch::begin(options.ready, options.give_up);
    let outcome = untethered(options.way).and_then(|detached| {
        let origin = Origin { detached, launchers: record::find_launchers(options.starter) };
        run_daemon(&options.home, origin, &starting)
    });
    if let Err(error) = &outcome {
        let readiness = match error {
            ServeError::LockHeld { holder } => Readiness::Lost { holder: *holder },
            ServeError::Unsafe(_) | ServeError::Config(_) | ServeError::Io { .. } => {
                Readiness::Failed { reason: error.to_string() }
            }
        };
        starting.say(&readiness);
    }
    outcome
}

/// How this daemon is apart from its starter. A daemon that was meant to outlive its starter does not run where it would
/// end with it, so that another program gets the chance to start one.
fn untethered(way: Option<DetachMethod>) -> Result<Detached, ServeError> {
    let job = match (detach::tether(), way) {
        (Tether::Free, _) => "none",
        (Tether::Within, _) => "within",
        (Tether::EndsWithIt, None) => "ends-with-it",
        (Tether::EndsWithIt, Some(_)) => {
            let sentence = "the daemon would end with the program that started it, whose job ends everything in it; start \
                            it from elsewhere, for example `exai start` in the Run dialog (Windows+R)";
            return Err(ServeError::Unsafe(sentence.to_owned()));
        }
    };
    Ok(Detached { way: way.map_or("foreground", DetachMethod::as_str).to_owned(), job: job.to_owned() })
}

/// Passes a place where a test may make the start fail.
fn reach(place: &'static str) -> Result<(), ServeError> {
    failpoint::reach(place).map_err(failed("failed on purpose"))
}

/// Where this daemon comes from.
struct Origin {
    detached: Detached,
    launchers: Vec<Launcher>,
}

fn run_daemon(home: &Home, origin: Origin, starting: &StartupWatch) -> Result<(), ServeError> {
    reach("daemon.begun")?;
    let unfit = |error: HomeError| ServeError::Unsafe(error.to_string());
    home.ensure().map_err(unfit)?;
    starting.step("taking the instance lock");
    let held = take_lock(home)?;
    starting.step("opening its log");
    let notes = home.prepare().map_err(unfit)?;
    logging::start_log(home).map_err(failed("failed to open the daemon's log"))?;
    for note in notes {
        tracing::warn!("{note:?}");
    }
    exai_os::tree::raise_descriptor_limit();
    exai_os::tree::refuse_core_files();
    exai_os::descent_tag::shed();
    // The orphans of a guard that is killed come to this process.
    exai_os::tree::keep_hold().map_err(failed("failed to keep hold of what it starts"))?;
    starting.step("reading its configuration");
    let (file, config) = ConfigFile::open(home)?;
    let admission = Admission::open(home, &config.daemon.allowed_hosts)
        .map_err(failed("failed to read or write the token"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Threads for calls that block. Idle threads end soon.
        .max_blocking_threads(32)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(failed("failed to start the runtime"))?;
    let outcome = runtime.block_on(run_until_end(home, (file, config), (admission, origin), &held, starting));
    // A call that still blocks (a login shell that hangs) is not waited for.
    runtime.shutdown_background();
    drop(held);
    outcome
}

/// The locks that make this the only daemon of its state directory.
struct Held {
    /// The self-check may replace it.
    lock: Arc<Mutex<HeldLock>>,
    claim: Arc<Claim>,
}

fn take_lock(home: &Home) -> Result<Held, ServeError> {
    let held = || {
        let record = exai_os::private::read(&home.daemon_record(), 1 << 20).ok();
        let record = record
            .and_then(|bytes| serde_json::from_slice::<exai_proto::documents::DaemonRecord>(&bytes).ok());
        let holder = lock::holder(&home.instance_lock()).ok().flatten();
        // Not this process, if the second authority is taken.
        let holder = holder.filter(|pid| *pid != std::process::id());
        ServeError::LockHeld { holder: holder.or(record.map(|record| record.pid)) }
    };
    let lock = lock::lock_until(&home.instance_lock(), Instant::now() + INSTANCE_LOCK_TIMEOUT)
        .map_err(failed("failed to open the instance lock"))?
        .ok_or_else(held)?;
    reach("daemon.locked")?;
    let name = match failpoint::reach("daemon.claim") {
        Ok(()) => lock::claim_name(home.path()).map_err(failed("failed to claim the instance's name"))?,
        Err(_) => Claim::Unsupported,
    };
    match name {
        Claim::TakenByThisUser => Err(held()),
        name @ (Claim::Ours(_) | Claim::Unsupported) => {
            reach("daemon.claimed")?;
            Ok(Held { lock: Arc::new(Mutex::new(lock)), claim: Arc::new(name) })
        }
    }
}

async fn run_until_end(
    home: &Home,
    (file, config): (ConfigFile, exai_config::Config),
    (admission, origin): (Admission, Origin),
    held: &Held,
    starting: &StartupWatch,
) -> Result<(), ServeError> {
    let tasks = TaskTracker::new();
    let instance = token::random_hex::<8>();
    starting.step("binding the local socket");
    if let Err(error) = Endpoint::sweep(home.path()) {
        tracing::warn!(%error, "sockets of earlier daemons could not be removed");
    }
    let myself = Living { instance: instance.clone(), pid: std::process::id() };
    let swept = StartupCleanup::begin(home.servers_dir(), myself, record::last_daemon(home));
    let endpoint =
        Endpoint::fresh(home.path(), &instance).map_err(failed("failed to name the local socket"))?;
    let listener = Listener::bind(&endpoint).map_err(failed("failed to bind the local socket"))?;
    reach("daemon.bound")?;
    starting.step("looking at itself");
    let account = exai_os::account::current().ok();
    let base = account.as_ref().map_or_else(|| home.path().to_owned(), |account| account.home.clone());
    let environment = Environment::read(account, exai_config::environment::HOME.get());
    let tcp = listener::bind_loopback(config.daemon.port.value);
    let about = Arc::new(DaemonInfo {
        instance,
        pid: std::process::id(),
        identity: exai_os::process::current().map_err(failed("failed to identify this process"))?,
        started_at: jiff::Timestamp::now(),
        exe: std::env::current_exe().map(|exe| exe.display().to_string()).unwrap_or_default(),
        home: home.path().display().to_string(),
        launchers: origin.launchers,
        detached: origin.detached,
        local: Mutex::new(endpoint.to_string()),
        tcp: Mutex::default(),
        config: file,
        admission: admission.clone(),
    });
    for (addr, bound) in &tcp {
        listener::log_binding(&about, *addr, bound);
    }
    starting.step("writing daemon.json");
    reach("daemon.recording")?;
    record::write_record(home, &about).map_err(failed("failed to write daemon.json"))?;
    reach("daemon.recorded")?;

    let closing = CancellationToken::new();
    let (hub, events) = HubHandle::new();
    let (monitor_events, monitored) = mpsc::channel(MAX_HUB_EVENTS);
    let sockets = TaskTracker::new();
    let (input_budget, message_checks) = (InputBudget::default(), MessageChecks::default());
    let sessions = Sessions::default();
    let sign_ins = SignIns::new(home, environment.clone(), about.clone(), tasks.clone());
    let state = AppState {
        hub: hub.clone(),
        about: about.clone(),
        home: home.clone(),
        admission,
        sessions: sessions.clone(),
        input_budget: input_budget.clone(),
        message_checks: message_checks.clone(),
        sign_ins: sign_ins.clone(),
        tasks: tasks.clone(),
        sockets: sockets.clone(),
    };
    let listeners = Arc::new(Listeners::new(state, closing.clone()));
    listeners.open_local(listener);
    let permits = listener::permits(max_tcp_connections());
    for (addr, bound) in tcp {
        listeners.open_tcp(addr, bound, &permits);
    }
    let watch = ProcessMonitor::new(home.clone());
    let watcher = watch
        .start(about.instance.clone(), monitor_events, sessions)
        .map_err(failed("failed to start the watcher"))?;
    let check = SelfCheck::start(Kept {
        home: home.clone(),
        about: about.clone(),
        lock: held.lock.clone(),
        claim: held.claim.clone(),
        listeners,
        hub: hub.clone(),
        runtime: tokio::runtime::Handle::current(),
    })
    .map_err(failed("failed to start the self-check"))?;
    starting.say(&Readiness::Ready);
    tracing::info!(pid = about.pid, instance = about.instance, version = exai_os::build::version(), "ready");
    if let Err(error) = failpoint::reach("daemon.ready") {
        tracing::warn!(%error, "serving all the same");
    }

    tasks.spawn(heed_signals(hub.clone(), closing.clone()));
    let host = Host {
        home: home.clone(),
        base,
        environment,
        startup_cleanup: swept,
        remote_clients: RemoteClients::default(),
        sign_ins,
        tasks: tasks.clone(),
        daemon: about.clone(),
        monitor: watch.clone(),
        input_budget,
        message_checks,
    };
    let (core, inboxes) = Hub::new(config, host, (hub, events), monitored);
    core.run(inboxes).await;
    watch.close();
    // The last records are removed by then.
    let _ = tokio::time::timeout(TASKS_END_TIMEOUT, tokio::task::spawn_blocking(|| watcher.join())).await;

    // Links close in their own tasks. A peer that does not read is not waited for long.
    tasks.close();
    sockets.close();
    let _ = tokio::time::timeout(TASKS_END_TIMEOUT, sockets.wait()).await;
    // Before the socket is closed: it must not be put back.
    check.stop();
    closing.cancel();
    let _ = tokio::time::timeout(TASKS_END_TIMEOUT, tasks.wait()).await;
    let gone = failpoint::reach("daemon.servers-gone").and_then(|()| record::remove_record(home, &about));
    if let Err(error) = gone.and_then(|()| failpoint::reach("daemon.record-gone")) {
        tracing::warn!(%error, "daemon.json could not be removed");
    }
    tracing::info!("stopped");
    Ok(())
}

/// SIGTERM, SIGINT and the console's signals end the daemon like `exai stop`.
///
/// The second signal ends it without grace.
async fn heed_signals(hub: HubHandle, closing: CancellationToken) {
    for grace in [DRAIN_TIMEOUT, Duration::ZERO] {
        tokio::select! {
            () = exai_os::signal::shutdown() => {
                // A hub that has ended is stopping already.
                let _ = hub.send(HubEvent::Stop { grace, reason: ByeReason::Stop }).await;
            }
            () = closing.cancelled() => return,
        }
    }
}
