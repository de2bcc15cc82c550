//! `config.toml` under the running daemon: whether it has changed since it was read, and what a person should know
//! of it.
//!
//! There is no watching by the kernel: once a second somebody looks anyway ([`crate::selfcheck`]), and whether a
//! file is another than it was can be told from its metadata. A file that is being written is left alone until it
//! has stayed the same for a moment; one that is invalid, or gone, changes nothing.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use exai_config::{Config, ConfigError, Home};
use exai_proto::documents::Finding;
use tokio::sync::oneshot;

use crate::hub::{HubEvent, HubHandle, Question};

/// For how long a changed file must stay the same before it is read.
pub(crate) const SETTLE: Duration = Duration::from_millis(100);

/// The file, and what was last read from it.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    home: Home,
    /// What the daemon was started with: it listens there.
    port: u16,
    /// One reading after the other: what is read last must be in force last.
    turn: Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// What was read, for better or worse.
    stamp: Stamp,
    /// Why it could not be used.
    trouble: Option<String>,
    /// The port that the last good configuration wants.
    port: u16,
}

/// Which file it was, as far as its metadata tell. Nothing, where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<(Option<SystemTime>, Option<SystemTime>, u64)>);

impl Stamp {
    fn of(path: PathBuf) -> Self {
        // When it was created tells a file from one that was put in its place.
        let facts = |found: std::fs::Metadata| (found.created().ok(), found.modified().ok(), found.len());
        Stamp(std::fs::symlink_metadata(path).ok().map(facts))
    }

    fn is_there(self) -> bool {
        self.0.is_some()
    }
}

impl ConfigFile {
    /// Reads it for the first time.
    pub(crate) fn open(home: &Home) -> Result<(Self, Config), ConfigError> {
        let stamp = Stamp::of(home.config());
        let config = exai_config::load(home)?;
        let port = config.daemon.port.value;
        let known = Mutex::new(Known { stamp, trouble: None, port });
        Ok((ConfigFile { home: home.clone(), port, turn: Mutex::new(()), known }, config))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads it again and hands it to the hub. Blocks.
    pub(crate) fn read_again(&self, hub: &HubHandle, reply: oneshot::Sender<Result<(), String>>) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the file is read: a change in between is found by the next look.
        let stamp = Stamp::of(self.home.config());
        let outcome = exai_config::load(&self.home).map_err(|error| error.to_string());
        self.note(stamp, outcome.as_ref());
        hub.send_from_thread(HubEvent::Loaded { outcome, reply });
    }

    fn note(&self, stamp: Stamp, outcome: Result<&Config, &String>) {
        let mut known = self.known();
        known.stamp = stamp;
        let trouble = match outcome {
            Ok(config) => {
                known.port = config.daemon.port.value;
                None
            }
            Err(trouble) => Some(trouble.clone()),
        };
        if trouble != known.trouble {
            if let Some(trouble) = &trouble {
                tracing::warn!(trouble, "the configuration is invalid; the last good one stays in force");
            } else {
                tracing::info!("the configuration is valid again");
            }
            known.trouble = trouble;
        }
    }

    /// What `exai status` says of it.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let there = Stamp::of(self.home.config()).is_there();
        let known = self.known();
        let invalid = known.trouble.as_ref().map(|trouble| Finding {
            id: "config-invalid".to_owned(),
            severity: "error".to_owned(),
            detail: format!("{trouble}; the last good configuration stays in force"),
            fix: Some("correct that place; it takes effect as soon as it is saved".to_owned()),
        });
        let missing = (known.stamp.is_there() && !there).then(|| Finding {
            id: "config-missing".to_owned(),
            severity: "warn".to_owned(),
            detail: format!("{} is gone; what it said stays in force", self.home.config().display()),
            fix: Some("put it back; or `exai restart`, to go on without servers".to_owned()),
        });
        let port = (known.port != self.port).then(|| Finding {
            id: "config-port".to_owned(),
            severity: "warn".to_owned(),
            detail: format!(
                "the configuration says port {}, and the daemon was started with port {}; it keeps that one",
                known.port, self.port
            ),
            fix: Some("exai restart".to_owned()),
        });
        invalid.into_iter().chain(missing).chain(port).collect()
    }
}

/// Looks at the file now and then.
#[derive(Debug)]
pub(crate) struct Lookout {
    /// What the last look has seen.
    seen: Stamp,
    /// What was last asked to be read.
    asked: Option<Stamp>,
}

impl Lookout {
    pub(crate) fn new(file: &ConfigFile) -> Self {
        Lookout { seen: file.known().stamp, asked: None }
    }

    /// One look. Has the hub read what has changed and stayed so. Returns whether the file is changing just now.
    pub(crate) fn look(&mut self, file: &ConfigFile, hub: &HubHandle) -> bool {
        let now = Stamp::of(file.home.config());
        let settled = std::mem::replace(&mut self.seen, now) == now;
        // That it is gone is an accident more often than a wish.
        if !now.is_there() || now == file.known().stamp || self.asked == Some(now) {
            return false;
        }
        if settled {
            // Nobody waits for the answer: the file knows what became of it.
            let (reply, _) = oneshot::channel();
            if hub.try_ask(Question::Reload(reply)) {
                self.asked = Some(now);
            }
        }
        !settled
    }
}
