//! `config.toml` under the running daemon: whether it has changed since it was read, and what a person should know
//! of it.
//!
//! There is no watching by the kernel: once a second somebody looks anyway ([`crate::upkeep::self_check`]), and whether a
//! file is another than it was can be told from its metadata. A file that is being written is left alone until it
//! has stayed the same for a moment; one that is invalid, or gone, changes nothing. A daemon that starts with an invalid
//! one takes what [`exai_config::last_good`] has instead.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exai_config::last_good::{self, Loaded};
use exai_config::{Config, ConfigError, Home};
use exai_os::private::{self, Stamp};
use exai_proto::documents::Finding;

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
    /// What is in force while it cannot.
    instead: String,
    /// The port that the last good configuration wants.
    port: u16,
    /// The permission bits that it had when others could write it.
    loose: Option<u32>,
}

/// What is in force under a daemon that has read a good one.
const LAST_GOOD: &str = "the last good configuration";

impl ConfigFile {
    /// Reads it for the first time. An error is one of the environment.
    pub(crate) fn open(home: &Home) -> Result<(Self, Config), ConfigError> {
        let (stamp, loose, outcome) = read(home);
        let (config, trouble, instead) = match outcome {
            Ok(config) => (config, None, LAST_GOOD.to_owned()),
            Err(error @ ConfigError::Environment { .. }) => return Err(error),
            Err(error) => {
                let (config, instead) = last_good::instead(home)?;
                tracing::warn!(%error, %instead, "the configuration is invalid; something else is in force");
                (config, Some(error.to_string()), instead.to_string())
            }
        };
        let port = config.daemon.port.value;
        let known = Mutex::new(Known { stamp, trouble, instead, port, loose });
        Ok((ConfigFile { home: home.clone(), port, turn: Mutex::new(()), known }, config))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file again, and hands the configuration or the error to `deliver` before anyone else may read it: what is
    /// read last is delivered last. Blocks.
    pub(crate) fn read_again(&self, deliver: impl FnOnce(Result<Config, String>)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamp, loose, outcome) = read(&self.home);
        let outcome = outcome.map_err(|error| error.to_string());
        self.note(stamp, loose, outcome.as_ref());
        deliver(outcome);
    }

    fn note(&self, stamp: Stamp, loose: Option<u32>, outcome: Result<&Config, &String>) {
        let mut known = self.known();
        known.stamp = stamp;
        known.loose = loose;
        let trouble = match outcome {
            Ok(config) => {
                known.port = config.daemon.port.value;
                LAST_GOOD.clone_into(&mut known.instead);
                None
            }
            Err(trouble) => Some(trouble.clone()),
        };
        if trouble != known.trouble {
            if let Some(trouble) = &trouble {
                let instead = &known.instead;
                tracing::warn!(trouble, "the configuration is invalid; {instead} stays in force");
            } else {
                tracing::info!("the configuration is valid again");
            }
            known.trouble = trouble;
        }
    }

    /// What `exai status` says of it.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let there = Stamp::of(&self.home.config()).is_there();
        let known = self.known();
        let invalid = known.trouble.as_ref().map(|trouble| Finding {
            id: "config-invalid".to_owned(),
            severity: "error".to_owned(),
            detail: format!("{trouble}; {} stays in force", known.instead),
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
        let loose = known.loose.map(|mode| Finding {
            id: "config-loose".to_owned(),
            severity: "warn".to_owned(),
            detail: format!(
                "{} could be written by others (mode {mode:04o}); it is private now",
                self.home.config().display()
            ),
            fix: Some("look whether it says what you want, and save it".to_owned()),
        });
        invalid.into_iter().chain(missing).chain(port).chain(loose).collect()
    }
}

/// Makes the file private, if it was not, and reads it. A change between the stamp and the reading is found by the next
/// look.
fn read(home: &Home) -> (Stamp, Option<u32>, Result<Config, ConfigError>) {
    let path = home.config();
    // Where somebody else gets to it, he may have written it: then it stays as it is, and is not read.
    let exposed = private::exposed(home.path(), &path).is_some();
    let loose = if exposed { None } else { private::tighten(&path).unwrap_or_default() };
    if let Some(mode) = loose {
        tracing::warn!("config.toml could be written by others (mode {mode:04o}); it is private now");
    }
    let stamp = Stamp::of(&path);
    let outcome = last_good::load_and_keep(home).map(|Loaded { config, kept }| {
        if let Err(error) = kept {
            tracing::warn!(%error, "no copy of the configuration can be kept");
        }
        config
    });
    (stamp, loose, outcome)
}

/// Looks at the file now and then.
#[derive(Debug)]
pub(crate) struct ConfigPoll {
    /// What the last look has seen.
    seen: Stamp,
    /// What was last asked to be read.
    asked: Option<Stamp>,
}

impl ConfigPoll {
    pub(crate) fn new(file: &ConfigFile) -> Self {
        ConfigPoll { seen: file.known().stamp.clone(), asked: None }
    }

    /// Looks once. Calls `reload` when the file has changed and then stayed the same; that returns whether the file is going
    /// to be read. Returns whether the file is changing just now.
    pub(crate) fn look(&mut self, file: &ConfigFile, reload: impl FnOnce() -> bool) -> bool {
        let now = Stamp::of(&file.home.config());
        let settled = std::mem::replace(&mut self.seen, now.clone()) == now;
        // That it is gone is an accident more often than a wish.
        if !now.is_there() || now == file.known().stamp || self.asked.as_ref() == Some(&now) {
            return false;
        }
        if settled && reload() {
            self.asked = Some(now);
        }
        !settled
    }
}
