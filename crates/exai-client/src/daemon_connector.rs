//! Joining the daemon, or starting it and joining it.
//!
//! The loop: connect; take `spawn.lock`; connect again, since another process may just have started the daemon; start
//! it; hold the lock until it is ready. Everything happens under one deadline, and each step gets a little less than
//! what is left, so that the step that hangs is the one that is named.
//!
//! Only a free `instance.lock` together with a free claim proves that no daemon lives. A refused connection proves
//! nothing: the daemon may be starting, stopping, or overloaded.

use std::path::Path;
use std::time::Instant;

use exai_config::Home;
use exai_os::local::Endpoint;
use exai_os::lock::{self, HeldLock};
use exai_os::{account, private, process};
use exai_proto::documents::DaemonRecord;
use exai_proto::link::{Hello, ServedHome};
use exai_proto::ready::Readiness;

use crate::connect_error::ConnectError;
use crate::daemon_record::{lock_holder, read_record};
use crate::daemon_start::{reach, start_daemon, start_failed};
use crate::limits::HELLO_TIMEOUT;
use crate::link::{DaemonInfo, Link, LinkError, OpenError};
use crate::retry_pause::RetryPause;

/// Joins or starts the daemon of one state directory.
#[derive(Debug, Clone)]
pub struct DaemonConnector {
    home: Home,
    hello: Hello,
}

/// The result of one try to join the daemon.
pub(crate) enum Probe {
    Link(Box<Link>),
    Refused(OpenError),
    Failed(Box<DaemonRecord>, OpenError),
    NoRecord,
}

impl DaemonConnector {
    /// A connector for one state directory. `hello` introduces this process to the daemon.
    pub fn new(home: Home, hello: Hello) -> Self {
        DaemonConnector { home, hello }
    }

    /// The state directory.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Whether this process wants what a daemon of this build knows and an older one may not know.
    pub(crate) fn wants_newer(&self) -> bool {
        !self.hello.servers.is_empty()
    }

    /// Joins the daemon and never starts one.
    pub fn connect(&self, deadline: Instant) -> Result<Link, ConnectError> {
        let mut pause = RetryPause::new();
        loop {
            let why = match self.probe(deadline) {
                Probe::Link(link) => return Ok(*link),
                Probe::Refused(refused) => return Err(ConnectError::Refused(refused.error)),
                Probe::Failed(_, failed) => failed.error.to_string(),
                Probe::NoRecord => "it is starting".to_owned(),
            };
            if !self.daemon_lives()? {
                return Err(ConnectError::NotRunning { home: self.home.path().to_owned() });
            }
            if !pause.sleep(deadline) {
                return Err(self.unreachable(why));
            }
        }
    }

    /// Whether this process may start a daemon. It may not if the daemon would be out of its owner's reach.
    pub fn may_start(&self) -> Result<(), ConnectError> {
        account::runs_for_another_account()
            .map_or(Ok(()), |reason| Err(ConnectError::ForAnotherAccount(reason)))
    }

    /// Joins the daemon, and starts it when none lives.
    pub fn connect_or_start(&self, deadline: Instant) -> Result<Link, ConnectError> {
        match self.probe(deadline) {
            Probe::Link(link) => return Ok(*link),
            Probe::Refused(refused) => return Err(ConnectError::Refused(refused.error)),
            Probe::Failed(..) | Probe::NoRecord => {}
        }
        self.may_start()?;
        self.home.prepare()?;
        let mut pause = RetryPause::new();
        loop {
            let held_up = match self.try_spawn_lock()? {
                None => Obstacle::BySomeStarter,
                Some(starting) => {
                    if let Some(link) = self.start_and_join(&starting, deadline)? {
                        return Ok(link);
                    }
                    Obstacle::ByADaemon
                }
            };
            if !pause.sleep(deadline) {
                return Err(match held_up {
                    Obstacle::BySomeStarter => self.starter_hangs(),
                    Obstacle::ByADaemon => self.unreachable("it is starting, stopping, or hangs".to_owned()),
                });
            }
            match self.probe(deadline) {
                Probe::Link(link) => return Ok(*link),
                Probe::Refused(refused) => return Err(ConnectError::Refused(refused.error)),
                Probe::Failed(..) | Probe::NoRecord => {}
            }
        }
    }

    /// Takes the lock that every process takes to start or stop a daemon. While it is held, no other process starts a
    /// daemon: go on with [`DaemonConnector::start_and_join`].
    pub fn spawn_lock(&self, deadline: Instant) -> Result<HeldLock, ConnectError> {
        self.home.prepare()?;
        let path = self.home.spawn_lock();
        match lock::lock_until(&path, deadline) {
            Ok(Some(held)) => Ok(held),
            Ok(None) => Err(self.starter_hangs()),
            Err(source) => Err(ConnectError::Io { action: "lock", path, source }),
        }
    }

    fn try_spawn_lock(&self) -> Result<Option<HeldLock>, ConnectError> {
        let path = self.home.spawn_lock();
        lock::try_lock(&path).map_err(|source| ConnectError::Io { action: "lock", path, source })
    }

    fn starter_hangs(&self) -> ConnectError {
        let lock = self.home.spawn_lock();
        ConnectError::StarterHangs { holder: lock_holder(&lock), lock }
    }

    pub(crate) fn unreachable(&self, why: String) -> ConnectError {
        let lock = self.home.instance_lock();
        ConnectError::Unreachable { holder: lock_holder(&lock), lock, why }
    }

    /// The process that holds the instance lock, where the system tells.
    pub fn holder(&self) -> Option<u32> {
        lock_holder(&self.home.instance_lock())
    }

    /// Under the spawn lock: joins the daemon, or starts one where none lives. Returns `None` when a daemon lives and
    /// cannot be joined yet.
    pub fn start_and_join(
        &self,
        _starting: &HeldLock,
        deadline: Instant,
    ) -> Result<Option<Link>, ConnectError> {
        reach("starter.locked")?;
        match self.probe(deadline) {
            Probe::Link(link) => return Ok(Some(*link)),
            Probe::Refused(refused) => return Err(ConnectError::Refused(refused.error)),
            Probe::Failed(..) | Probe::NoRecord => {}
        }
        if self.daemon_lives()? {
            return Ok(None);
        }
        let readiness = start_daemon(&self.home, deadline)?;
        reach("starter.heard")?;
        match readiness {
            Readiness::Ready => {}
            Readiness::Lost { .. } => return Ok(None),
            // The daemon has said why; its log adds nothing.
            Readiness::Failed { reason } => {
                return Err(ConnectError::StartFailed { reason, log_tail: Vec::new() });
            }
        }
        match self.probe(deadline) {
            Probe::Link(link) => Ok(Some(*link)),
            Probe::Refused(refused) => Err(ConnectError::Refused(refused.error)),
            Probe::Failed(_, failed) => Err(self.unreachable(failed.error.to_string())),
            Probe::NoRecord => {
                Err(start_failed(&self.home, "it said that it is ready, and left no record".to_owned()))
            }
        }
    }

    /// The same until `deadline`: a daemon that lives and cannot be joined yet is waited for. One that was started before the
    /// spawn lock was taken may still wait for its predecessor's end, and be faster than the one that is started here.
    pub fn start_or_join(&self, starting: &HeldLock, deadline: Instant) -> Result<Link, ConnectError> {
        let mut pause = RetryPause::new();
        loop {
            if let Some(link) = self.start_and_join(starting, deadline)? {
                return Ok(link);
            }
            if !pause.sleep(deadline) {
                return Err(self.unreachable("it is starting, stopping, or hangs".to_owned()));
            }
        }
    }

    /// Whether a daemon lives, ready or not.
    pub fn daemon_lives(&self) -> Result<bool, ConnectError> {
        let path = self.home.instance_lock();
        let held =
            lock::is_held(&path).map_err(|source| ConnectError::Io { action: "look at", path, source })?;
        // The directory of the daemon may have been removed: until the daemon notices, only its claim shows that it
        // lives. Where the system does not show claims, the daemon itself checks before it serves.
        Ok(held || lock::is_claimed(self.home.path()).unwrap_or(false))
    }

    /// Waits until this daemon is gone, and returns whether it was gone before `deadline`. A daemon whose process the
    /// kernel does not tell counts as gone when no daemon lives, or when another one has taken its place.
    pub(crate) fn wait_until_gone(
        &self,
        daemon: &DaemonInfo,
        deadline: Instant,
    ) -> Result<bool, ConnectError> {
        if let Some(identity) = &daemon.process {
            return process::wait_gone(identity, deadline).map_err(|source| ConnectError::Io {
                action: "wait for the end of the daemon of",
                path: self.home.path().to_owned(),
                source,
            });
        }
        let mut pause = RetryPause::new();
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
        match self.probe(Instant::now() + HELLO_TIMEOUT) {
            Probe::Link(link) => Some(*link),
            Probe::Refused(_) | Probe::Failed(..) | Probe::NoRecord => None,
        }
    }

    /// Whether a daemon serves this state directory, by its own word on the link: the record may be a copy of the
    /// record of another directory.
    fn is_ours(&self, daemon: &DaemonInfo, endpoint: &Endpoint) -> bool {
        let Some(theirs) = &daemon.home else {
            // An old build does not say which directory it serves: its socket must be in this directory, or at least
            // the lock must be held.
            let inside = Path::new(&endpoint.to_string()).starts_with(self.home.path());
            return inside || self.daemon_lives().unwrap_or(false);
        };
        let (path, id) = private::directory_identity(self.home.path());
        theirs.is(&ServedHome { path, id })
    }

    pub(crate) fn probe(&self, deadline: Instant) -> Probe {
        let Some(record) = read_record(&self.home) else { return Probe::NoRecord };
        let Some(endpoint) = record.local_address().and_then(|text| text.parse::<Endpoint>().ok()) else {
            return Probe::NoRecord;
        };
        let deadline = deadline.min(Instant::now() + HELLO_TIMEOUT);
        match Link::open(&endpoint, &self.hello, deadline) {
            // The record belongs to another directory and says nothing about this one.
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

/// What keeps this process from joining or starting a daemon.
#[derive(Debug, Clone, Copy)]
enum Obstacle {
    BySomeStarter,
    ByADaemon,
}
