//! The one door to the daemon: join it, or start it and join it.
//!
//! The loop: connect; take `spawn.lock`; connect again, for another may just have started it; start it;
//! hold the lock until it is ready. Everything happens under one deadline, and each step gets a little less
//! than what is left, so that the step that hangs is the one that is named.
//!
//! Only a free `instance.lock`, and a claim that nobody has, prove that no daemon lives. A refused connection proves nothing: the daemon
//! may be starting, stopping, or out of breath.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_os::advice::AS_YOURSELF;
use exai_os::local::Endpoint;
use exai_os::lock::{self, HeldLock};
use exai_os::process;
use exai_os::{account, detach, failpoint, private, tree};
use exai_proto::documents::{DaemonRecord, Identity};
use exai_proto::link::{Hello, ServedHome};
use exai_proto::ready::Readiness;

use crate::link::{Daemon, Link, LinkError, OpenError};
use crate::pause::Pause;
use crate::start_environment;

/// For how long a daemon may leave a hello unanswered before it counts as wedged.
pub const HELLO_TIME: Duration = Duration::from_secs(2);
/// For how long to try in all, when nobody says otherwise.
pub const START_TIME: Duration = Duration::from_secs(20);
/// By how much a step ends before the whole does.
const STEP: Duration = Duration::from_millis(100);
/// A record is one small object.
const RECORD_BYTES: u64 = 1024 * 1024;
const LOG_LINES: usize = 40;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// No daemon runs, and none was to be started.
    #[error("no exai daemon runs (state directory {})", home.display())]
    NotRunning {
        /// The state directory.
        home: PathBuf,
    },
    /// The daemon is there and does not want us, or cannot talk to us.
    #[error("the exai daemon does not serve this: {0}")]
    Refused(LinkError),
    /// A daemon lives and cannot be reached.
    #[error("{} holds {} and cannot be reached: {why}", who("a daemon", *holder), lock.display())]
    Unreachable {
        /// The lock it holds.
        lock: PathBuf,
        /// Its process id, where the system tells who holds a lock.
        holder: Option<u32>,
        /// What happened on trying.
        why: String,
    },
    /// Somebody else is starting a daemon and does not get done.
    #[error("{} holds {} and has started no daemon in time", who("another process", *holder), lock.display())]
    StarterHangs {
        /// The lock it holds.
        lock: PathBuf,
        /// Its process id, where the system tells who holds a lock.
        holder: Option<u32>,
    },
    /// The daemon was started and ended, or said that it cannot.
    #[error("the exai daemon did not start: {reason}{}", tail(log_tail))]
    StartFailed {
        /// Why, by its own words where it had any.
        reason: String,
        /// The last lines of its log.
        log_tail: Vec<String>,
    },
    /// The daemon was started and ended without a word: killed, or crashed.
    #[error(
        "the exai daemon did not start: the new process (pid {pid}) ended without a word{}",
        tail(log_tail)
    )]
    Died {
        /// What its process id was.
        pid: u32,
        /// The last lines of its log.
        log_tail: Vec<String>,
    },
    /// This process acts for another account than the one that logged in.
    #[error("not starting a daemon here: {0}; run `exai start` {as_yourself}", as_yourself = AS_YOURSELF)]
    ForAnotherAccount(String),
    /// The state directory is not fit.
    #[error(transparent)]
    Home(#[from] exai_config::HomeError),
    /// The system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// What a failed start says about the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailedStart {
    /// It has a reason, which the next try will hardly change.
    Reason,
    /// Somebody killed it, or it crashed.
    Death,
}

impl DoorError {
    /// Whether this is a failed start. Somebody else's being slow is none.
    pub(crate) fn failed_start(&self) -> Option<FailedStart> {
        match self {
            DoorError::StartFailed { .. }
            | DoorError::ForAnotherAccount(_)
            | DoorError::Home(_)
            | DoorError::Io { .. } => Some(FailedStart::Reason),
            DoorError::Died { .. } => Some(FailedStart::Death),
            DoorError::NotRunning { .. }
            | DoorError::Refused(_)
            | DoorError::Unreachable { .. }
            | DoorError::StarterHangs { .. } => None,
        }
    }
}

fn who(what: &str, pid: Option<u32>) -> String {
    pid.map_or_else(|| what.to_owned(), |pid| format!("{what} (pid {pid})"))
}

fn tail(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; the end of its log:\n  {}", lines.join("\n  ")) }
}

/// What [`Door::look`] found.
#[derive(Debug)]
pub enum Sight {
    /// A daemon answers.
    Answering(Box<Link>),
    /// A daemon answers, and will not serve us.
    Refusing {
        /// Why.
        error: LinkError,
        /// Its process, by the kernel's word.
        process: Option<process::Identity>,
    },
    /// A daemon lives. It has no record yet, or one of a daemon before it.
    Starting,
    /// A daemon lives that listens no more.
    Stopping(Box<DaemonRecord>),
    /// A daemon lives, says that it is ready, and does not answer.
    Wedged {
        /// What it said of itself.
        record: Box<DaemonRecord>,
        /// What came instead of an answer.
        error: LinkError,
        /// Its process, by the kernel's word for who listens there.
        process: Option<process::Identity>,
    },
    /// A record claims a daemon, and none lives.
    Stale(Box<DaemonRecord>),
    /// No daemon, no record.
    Nothing,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Door {
    home: Home,
    hello: Hello,
}

enum Probe {
    Link(Box<Link>),
    Refused(OpenError),
    Failed(Box<DaemonRecord>, OpenError),
    NoRecord,
}

impl Door {
    /// The door of one state directory, for somebody who introduces himself so.
    pub fn new(home: Home, hello: Hello) -> Self {
        Door { home, hello }
    }

    /// The state directory.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Joins the daemon; never starts one.
    pub fn connect(&self, deadline: Instant) -> Result<Link, DoorError> {
        let mut pause = Pause::new();
        loop {
            let why = match self.probe(deadline) {
                Probe::Link(link) => return Ok(*link),
                Probe::Refused(refused) => return Err(DoorError::Refused(refused.error)),
                Probe::Failed(_, failed) => failed.error.to_string(),
                Probe::NoRecord => "it is starting".to_owned(),
            };
            if !self.daemon_lives()? {
                return Err(DoorError::NotRunning { home: self.home.path().to_owned() });
            }
            if !pause.sleep(deadline) {
                return Err(self.unreachable(why));
            }
        }
    }

    /// Whether this process may start a daemon: not one that would be out of its account's reach.
    pub fn may_start(&self) -> Result<(), DoorError> {
        account::runs_for_another_account().map_or(Ok(()), |reason| Err(DoorError::ForAnotherAccount(reason)))
    }

    /// Joins the daemon, and starts it when none lives.
    pub fn connect_or_start(&self, deadline: Instant) -> Result<Link, DoorError> {
        match self.probe(deadline) {
            Probe::Link(link) => return Ok(*link),
            Probe::Refused(refused) => return Err(DoorError::Refused(refused.error)),
            Probe::Failed(..) | Probe::NoRecord => {}
        }
        self.may_start()?;
        self.home.prepare()?;
        let mut pause = Pause::new();
        loop {
            let held_up = match self.try_spawn_lock()? {
                None => Held::BySomeStarter,
                Some(starting) => {
                    if let Some(link) = self.start_and_join(&starting, deadline)? {
                        return Ok(link);
                    }
                    Held::ByADaemon
                }
            };
            if !pause.sleep(deadline) {
                return Err(match held_up {
                    Held::BySomeStarter => self.starter_hangs(),
                    Held::ByADaemon => self.unreachable("it is starting, stopping, or hangs".to_owned()),
                });
            }
            match self.probe(deadline) {
                Probe::Link(link) => return Ok(*link),
                Probe::Refused(refused) => return Err(DoorError::Refused(refused.error)),
                Probe::Failed(..) | Probe::NoRecord => {}
            }
        }
    }

    /// What is there, without changing anything.
    pub fn look(&self) -> Result<Sight, DoorError> {
        let probe = self.probe(Instant::now() + HELLO_TIME);
        Ok(match (probe, self.daemon_lives()?) {
            (Probe::Link(link), _) => Sight::Answering(link),
            (Probe::Refused(OpenError { error, process }), _) => Sight::Refusing { error, process },
            (Probe::NoRecord, true) => Sight::Starting,
            (Probe::NoRecord, false) => Sight::Nothing,
            (Probe::Failed(record, _), false) => Sight::Stale(record),
            (Probe::Failed(record, OpenError { error, process }), true) => {
                // Who listens and does not answer is there, whatever a record says.
                let lives = process.is_some() || process_lives(&record.identity);
                match (lives, nobody_listens(&error)) {
                    (false, _) => Sight::Starting,
                    (true, true) => Sight::Stopping(record),
                    (true, false) => Sight::Wedged { record, error, process },
                }
            }
        })
    }

    /// Takes the lock of those who start and stop daemons. While it is held, this is the only door that
    /// starts one: go on with [`Door::start_and_join`].
    pub fn spawn_lock(&self, deadline: Instant) -> Result<HeldLock, DoorError> {
        self.home.prepare()?;
        let path = self.home.spawn_lock();
        match lock::lock_until(&path, deadline) {
            Ok(Some(held)) => Ok(held),
            Ok(None) => Err(self.starter_hangs()),
            Err(source) => Err(DoorError::Io { action: "lock", path, source }),
        }
    }

    fn try_spawn_lock(&self) -> Result<Option<HeldLock>, DoorError> {
        let path = self.home.spawn_lock();
        lock::try_lock(&path).map_err(|source| DoorError::Io { action: "lock", path, source })
    }

    fn starter_hangs(&self) -> DoorError {
        let lock = self.home.spawn_lock();
        DoorError::StarterHangs { holder: holder_of(&lock), lock }
    }

    pub(crate) fn unreachable(&self, why: String) -> DoorError {
        let lock = self.home.instance_lock();
        DoorError::Unreachable { holder: holder_of(&lock), lock, why }
    }

    /// The process that holds the instance lock, where the system tells.
    pub fn holder(&self) -> Option<u32> {
        holder_of(&self.home.instance_lock())
    }

    /// Under the spawn lock: joins the daemon, or starts one where none lives. `None` when one lives that
    /// cannot be joined yet.
    pub fn start_and_join(&self, _starting: &HeldLock, deadline: Instant) -> Result<Option<Link>, DoorError> {
        reach("starter.locked")?;
        match self.probe(deadline) {
            Probe::Link(link) => return Ok(Some(*link)),
            Probe::Refused(refused) => return Err(DoorError::Refused(refused.error)),
            Probe::Failed(..) | Probe::NoRecord => {}
        }
        if self.daemon_lives()? {
            return Ok(None);
        }
        let readiness = self.start(deadline)?;
        reach("starter.heard")?;
        match readiness {
            Readiness::Ready => {}
            Readiness::Lost { .. } => return Ok(None),
            // It had words for it; its log adds nothing.
            Readiness::Failed { reason } => {
                return Err(DoorError::StartFailed { reason, log_tail: Vec::new() });
            }
        }
        match self.probe(deadline) {
            Probe::Link(link) => Ok(Some(*link)),
            Probe::Refused(refused) => Err(DoorError::Refused(refused.error)),
            Probe::Failed(_, failed) => Err(self.unreachable(failed.error.to_string())),
            Probe::NoRecord => {
                Err(self.start_failed("it said that it is ready, and left no record".to_owned()))
            }
        }
    }

    fn start(&self, deadline: Instant) -> Result<Readiness, DoorError> {
        let exe = executable()?;
        let log = self.home.daemon_log();
        let env = start_environment::for_daemon();
        // Nobody is above a daemon; this says who has started it.
        let args = ["serve", detach::STARTER_ARGUMENT, &std::process::id().to_string()].map(OsString::from);
        reach("starter.spawning")?;
        let mut started = detach::spawn(&exe, &args, &env, self.home.path(), &log, deadline)
            .map_err(|source| DoorError::Io { action: "start", path: exe, source })?;
        reach("starter.spawned")?;
        let said = started.ready.read_to_end_until(deadline.checked_sub(STEP).unwrap_or(deadline));
        match said {
            Ok(said) => Readiness::from_line(&said)
                .ok_or_else(|| DoorError::Died { pid: started.pid, log_tail: log_tail(&self.home) }),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let how_far = self.how_far(started.pid);
                let sentence =
                    format!("the new process (pid {}) was not ready in time: {how_far}", started.pid);
                Err(self.start_failed(sentence))
            }
            Err(source) => {
                Err(DoorError::Io { action: "read the readiness of", path: self.home.path().into(), source })
            }
        }
    }

    /// How far a new daemon that says nothing has come, as far as it can be seen.
    fn how_far(&self, pid: u32) -> &'static str {
        match (self.holder(), self.record()) {
            (_, Some(record)) if record.pid == pid => {
                "its record is written, and it does not say that it is ready"
            }
            (Some(holder), _) if holder == pid => "it holds the instance lock and has written no record",
            (Some(_), _) => "another process holds the instance lock",
            (None, _) => "it has not written its record",
        }
    }

    fn start_failed(&self, reason: String) -> DoorError {
        DoorError::StartFailed { reason, log_tail: log_tail(&self.home) }
    }

    /// The record, if there is one that can be read. A missing or broken one is no information.
    pub fn record(&self) -> Option<DaemonRecord> {
        let bytes = private::read(&self.home.daemon_record(), RECORD_BYTES).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Whether a daemon lives, ready or not.
    pub fn daemon_lives(&self) -> Result<bool, DoorError> {
        let path = self.home.instance_lock();
        let held =
            lock::is_held(&path).map_err(|source| DoorError::Io { action: "look at", path, source })?;
        // Its directory may have been removed: until it notices, only its claim shows that it lives. Where
        // nobody can be asked, the daemon itself asks before it serves.
        Ok(held || lock::is_claimed(self.home.path()).unwrap_or(false))
    }

    /// Waits until this daemon is gone. Returns whether that came about before `deadline`. One whose process the kernel
    /// does not tell is gone when no daemon lives, or it has made room for another.
    pub(crate) fn wait_until_gone(&self, daemon: &Daemon, deadline: Instant) -> Result<bool, DoorError> {
        if let Some(identity) = &daemon.process {
            return process::wait_gone(identity, deadline).map_err(|source| DoorError::Io {
                action: "wait for the end of the daemon of",
                path: self.home.path().to_owned(),
                source,
            });
        }
        let mut pause = Pause::new();
        loop {
            let another = || self.try_connect().is_some_and(|link| link.daemon().instance != daemon.instance);
            if !self.daemon_lives()? || another() {
                return Ok(true);
            }
            if !pause.sleep(deadline) {
                return Ok(false);
            }
        }
    }

    /// Joins the daemon if it answers right now.
    pub fn try_connect(&self) -> Option<Link> {
        match self.probe(Instant::now() + HELLO_TIME) {
            Probe::Link(link) => Some(*link),
            Probe::Refused(_) | Probe::Failed(..) | Probe::NoRecord => None,
        }
    }

    /// Whether a daemon serves this state directory, by its own word on the link: a record may be a copy of another's.
    fn is_ours(&self, daemon: &Daemon, endpoint: &Endpoint) -> bool {
        let Some(theirs) = &daemon.home else {
            // A build that does not say it: its socket is in its directory, or at least somebody holds the lock.
            let inside = Path::new(&endpoint.to_string()).starts_with(self.home.path());
            return inside || self.daemon_lives().unwrap_or(false);
        };
        let (path, id) = private::directory_identity(self.home.path());
        theirs.is(&ServedHome { path, id })
    }

    fn probe(&self, deadline: Instant) -> Probe {
        let Some(record) = self.record() else { return Probe::NoRecord };
        let Some(endpoint) = record.local_address().and_then(|text| text.parse::<Endpoint>().ok()) else {
            return Probe::NoRecord;
        };
        let deadline = deadline.min(Instant::now() + HELLO_TIME);
        match Link::open(&endpoint, &self.hello, deadline) {
            // The record is another directory's: it says nothing of this one.
            Ok(link) if !self.is_ours(link.daemon(), &endpoint) => Probe::NoRecord,
            Ok(link) if link.daemon().instance == record.instance => Probe::Link(Box::new(link)),
            Ok(link) => {
                let who = format!("another daemon (instance {})", link.daemon().instance);
                Probe::Failed(Box::new(record), LinkError::NotOurs(who).into())
            }
            Err(
                refused @ OpenError {
                    error: LinkError::Refused(_) | LinkError::Version { .. } | LinkError::ForeignPeer { .. },
                    ..
                },
            ) => Probe::Refused(refused),
            Err(failed) => Probe::Failed(Box::new(record), failed),
        }
    }
}

/// What keeps a door closed.
#[derive(Debug, Clone, Copy)]
enum Held {
    BySomeStarter,
    ByADaemon,
}

fn holder_of(lock: &Path) -> Option<u32> {
    lock::holder(lock).ok().flatten()
}

/// Comes by a place where a test may make the start fail.
fn reach(place: &'static str) -> Result<(), DoorError> {
    failpoint::reach(place).map_err(|source| DoorError::Io { action: "get past", path: place.into(), source })
}

/// The last lines of the daemon's log.
fn log_tail(home: &Home) -> Vec<String> {
    let (text, _) = crate::tail::last_lines(&home.daemon_log(), LOG_LINES).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// Whether the process of a record lives: exactly that one, not another with its pid.
pub fn process_lives(identity: &Identity) -> bool {
    let found = process::identify(identity.pid).ok().flatten();
    found.is_some_and(|found| found == verified(identity))
}

/// The identity in the form the system understands.
pub fn verified(identity: &Identity) -> process::Identity {
    process::Identity { boot: identity.boot.clone(), pid: identity.pid, start: identity.start }
}

fn nobody_listens(error: &LinkError) -> bool {
    match error {
        LinkError::Io(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
        }
        _ => false,
    }
}

/// This program, without links in its path: the daemon must not change with a link.
fn executable() -> Result<PathBuf, DoorError> {
    let io = |source| DoorError::Io { action: "find", path: PathBuf::from("this executable"), source };
    let exe = std::env::current_exe().map_err(io)?;
    if let Ok(real) = dunce::canonicalize(&exe) {
        return Ok(real);
    }
    // The file was removed while this program runs. What has its name now is what the next shim would start;
    // if nothing has, the file that runs is still there for those who run it.
    let named = process::executable(std::process::id()).and_then(dunce::canonicalize);
    named.or_else(|_| tree::own_program()).map_err(io)
}
