//! `config.toml` under the running daemon: whether the file has changed since it was read, and the findings about it.
//!
//! The kernel is not asked to watch the file: [`crate::upkeep::self_check`] runs once a second anyway, and the metadata of
//! a file show whether it has changed. The daemon does not read a file that is being written before the file has stayed the
//! same for a moment. A file that is invalid or gone changes nothing. A daemon that starts with an invalid file takes
//! what [`exai_config::last_good`] has instead.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exai_config::last_good::{self, Loaded};
use exai_config::secret_store::SecretStore;
use exai_config::{Config, ConfigError, Home};
use exai_os::private::{self, Stamp};
use exai_proto::documents::Finding;

/// How long a changed file must stay the same before the daemon reads it.
pub(crate) const SETTLE_INTERVAL: Duration = Duration::from_millis(100);

/// `config.toml`, and what the last reading of it found.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    home: Home,
    /// The port that the daemon was started with and listens on.
    port: u16,
    /// Held during a reading: what is read last must be in force last.
    reading: Mutex<()>,
    last_read: Mutex<LastRead>,
}

#[derive(Debug)]
struct LastRead {
    /// The file that was read, valid or not.
    stamp: Stamp,
    /// Why the file could not be used; `None` for a valid one.
    trouble: Option<String>,
    /// The name of the configuration that is in force instead of an invalid file.
    instead: String,
    /// The port that the last good configuration wants.
    port: u16,
    /// The permission bits of the file, if others could write it when it was read.
    loose: Option<u32>,
}

/// What is in force instead of an invalid file once the daemon has read a valid one.
const LAST_GOOD: &str = "the last good configuration";

impl ConfigFile {
    /// Reads the file for the first time. Errors come from environment variables, or from the last good configuration; an
    /// invalid file alone is no error.
    pub(crate) fn open(home: &Home) -> Result<(Self, Config), ConfigError> {
        let (stamp, loose, outcome) = read_config(home);
        let (config, trouble, instead) = match outcome {
            Ok(config) => (config, None, LAST_GOOD.to_owned()),
            Err(error @ ConfigError::Environment { .. }) => return Err(error),
            Err(error) => {
                let (config, instead) = last_good::instead(home)?;
                tracing::warn!(%error, %instead, "the configuration is invalid; something else is in force");
                (config, Some(error.to_string()), instead.to_string())
            }
        };
        let config = complete(config, home);
        let port = config.daemon.port.value;
        let last_read = Mutex::new(LastRead { stamp, trouble, instead, port, loose });
        Ok((ConfigFile { home: home.clone(), port, reading: Mutex::new(()), last_read }, config))
    }

    fn last_read(&self) -> MutexGuard<'_, LastRead> {
        self.last_read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file again, and hands the configuration or the error to `deliver` before the next reading begins: what
    /// is read last is delivered last. Blocks.
    pub(crate) fn read_again(&self, deliver: impl FnOnce(Result<Config, String>)) {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamp, loose, outcome) = read_config(&self.home);
        let outcome = outcome.map_err(|error| error.to_string());
        self.record_outcome(stamp, loose, outcome.as_ref());
        deliver(outcome);
    }

    fn record_outcome(&self, stamp: Stamp, loose: Option<u32>, outcome: Result<&Config, &String>) {
        let mut last_read = self.last_read();
        last_read.stamp = stamp;
        last_read.loose = loose;
        let trouble = match outcome {
            Ok(config) => {
                last_read.port = config.daemon.port.value;
                LAST_GOOD.clone_into(&mut last_read.instead);
                None
            }
            Err(trouble) => Some(trouble.clone()),
        };
        if trouble != last_read.trouble {
            if let Some(trouble) = &trouble {
                let instead = &last_read.instead;
                tracing::warn!(trouble, "the configuration is invalid; {instead} stays in force");
            } else {
                tracing::info!("the configuration is valid again");
            }
            last_read.trouble = trouble;
        }
    }

    /// What `exai status` says about the file.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let there = Stamp::of(&self.home.config()).is_there();
        let last_read = self.last_read();
        let invalid = last_read.trouble.as_ref().map(|trouble| Finding {
            id: "config-invalid".to_owned(),
            severity: "error".to_owned(),
            detail: format!("{trouble}; {} stays in force", last_read.instead),
            fix: Some("correct that place; it takes effect as soon as it is saved".to_owned()),
        });
        let missing = (last_read.stamp.is_there() && !there).then(|| Finding {
            id: "config-missing".to_owned(),
            severity: "warn".to_owned(),
            detail: format!("{} is gone; what it said stays in force", self.home.config().display()),
            fix: Some("put it back; or `exai restart`, to go on without servers".to_owned()),
        });
        let port = (last_read.port != self.port).then(|| Finding {
            id: "config-port".to_owned(),
            severity: "warn".to_owned(),
            detail: format!(
                "the configuration says port {}, and the daemon was started with port {}; it keeps that one",
                last_read.port, self.port
            ),
            fix: Some("exai restart".to_owned()),
        });
        let loose = last_read.loose.map(|mode| Finding {
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

/// Makes the file private, if it was not, and reads it. The next poll finds a change that was made between the stamp and
/// the reading.
fn read_config(home: &Home) -> (Stamp, Option<u32>, Result<Config, ConfigError>) {
    let path = home.config();
    // Another account that can reach the file may have written it: the file stays as it is, and is not read.
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
        complete(config, home)
    });
    (stamp, loose, outcome)
}

fn complete(config: Config, home: &Home) -> Config {
    with_directories(with_secrets(config, home))
}

/// Finds the directories that the configuration names. Asks the file system only if there are any.
fn with_directories(mut config: Config) -> Config {
    if config.servers.iter().any(|(_, server)| !server.accounts.is_empty())
        && let Ok(account) = exai_os::account::current()
    {
        config.servers.resolve_directories(&account.home);
    }
    config
}

/// Adds the secrets. A file of secrets that cannot be read is reported when a server needs it.
fn with_secrets(config: Config, home: &Home) -> Config {
    Config { secrets: SecretStore::load(home).unwrap_or_default(), ..config }
}

/// Compares the file from time to time with the one that was read.
#[derive(Debug)]
pub(crate) struct ConfigPoll {
    /// The file at the last poll.
    seen: Stamp,
    /// The file for which a reading was last requested.
    requested: Option<Stamp>,
}

impl ConfigPoll {
    pub(crate) fn new(file: &ConfigFile) -> Self {
        ConfigPoll { seen: file.last_read().stamp.clone(), requested: None }
    }

    /// Polls the file once. Calls `reload` when the file has changed and then stayed the same; `reload` returns whether the
    /// file is going to be read. Returns whether the file is changing just now.
    pub(crate) fn poll_file(&mut self, file: &ConfigFile, reload: impl FnOnce() -> bool) -> bool {
        let now = Stamp::of(&file.home.config());
        let settled = std::mem::replace(&mut self.seen, now.clone()) == now;
        // A file that is gone was removed by accident more often than on purpose.
        if !now.is_there() || now == file.last_read().stamp || self.requested.as_ref() == Some(&now) {
            return false;
        }
        if settled && reload() {
            self.requested = Some(now);
        }
        !settled
    }
}
