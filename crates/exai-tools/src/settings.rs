//! The configuration of the tools. A change of `config.toml` or `secrets.toml` counts from the next call on.

use std::sync::{Arc, Mutex, PoisonError};

use exai_config::live::{LiveConfig, Look};
use exai_config::secret_store::SecretStore;
use exai_config::{Config, ConfigError, Home};

/// The configuration as each call finds it.
#[derive(Debug)]
pub(crate) struct Settings {
    home: Home,
    live: Mutex<LiveConfig>,
}

impl Settings {
    /// Reads the configuration of this state directory.
    ///
    /// # Errors
    /// A variable of the environment that exai reads is invalid.
    pub(crate) fn open(home: &Home) -> Result<Settings, ConfigError> {
        Ok(Settings { home: home.clone(), live: Mutex::new(LiveConfig::open(home)?) })
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The configuration in force now, with the secrets.
    pub(crate) fn now(&self) -> Arc<Config> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Look::Unusable(reason) = live.look_again() {
            tracing::warn!("{reason}");
        }
        let mut config = live.config().clone();
        config.secrets = SecretStore::load(&self.home).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            SecretStore::default()
        });
        Arc::new(config)
    }

    /// Why `config.toml` as it is now is not in force; `None` if it is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).trouble().map(str::to_owned)
    }
}
