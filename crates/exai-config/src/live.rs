//! The configuration as a program sees it that runs beside the daemon and notices changes by itself.

use exai_os::private::Stamp;

use crate::load::{Config, ConfigError, load};
use crate::{Home, last_good};

/// The configuration in force, and the file that it was read from.
#[derive(Debug)]
pub struct LiveConfig {
    home: Home,
    stamp: Stamp,
    config: Config,
    trouble: Option<String>,
}

/// What [`LiveConfig::look_again`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The file is the one that was read last.
    Same,
    /// The file has changed, and what it says now is in force.
    Changed,
    /// The file has changed and cannot be used, or is gone: what it said before stays in force. The sentence says why.
    Unusable(String),
}

impl LiveConfig {
    /// Reads the configuration of this home. An invalid file is replaced by what [`last_good::instead`] has.
    ///
    /// # Errors
    /// The environment is invalid, which holds for every configuration.
    pub fn open(home: &Home) -> Result<LiveConfig, ConfigError> {
        // Before the reading: a change in between is found by the next look.
        let stamp = Stamp::of(&home.config());
        let (config, trouble) = match load(home) {
            Ok(config) => (config, None),
            Err(error @ ConfigError::Environment { .. }) => return Err(error),
            Err(error) => {
                let (config, instead) = last_good::instead(home)?;
                (config, Some(format!("{error}; {instead} stays in force")))
            }
        };
        Ok(LiveConfig { home: home.clone(), stamp, config, trouble })
    }

    /// Reads the file if it has changed since it was read, by its identity, size and time. Costs one look at the
    /// metadata otherwise.
    pub fn look_again(&mut self) -> Look {
        let stamp = Stamp::of(&self.home.config());
        if stamp == self.stamp {
            return Look::Same;
        }
        self.stamp = stamp;
        let unusable = if self.stamp.is_there() {
            match load(&self.home) {
                Ok(config) => {
                    self.config = config;
                    self.trouble = None;
                    return Look::Changed;
                }
                Err(error) => format!("{error}; the last good configuration stays in force"),
            }
        } else {
            // It was removed by accident more often than on purpose, as the daemon sees it, too.
            format!("{} is gone; what it said stays in force", self.home.config().display())
        };
        self.trouble = Some(unusable.clone());
        Look::Unusable(unusable)
    }

    /// The configuration in force, without secrets.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Why the present file is not in force; `None` if it is.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(home: &Home, text: &str) {
        exai_os::private::write_atomic(&home.config(), text.as_bytes()).unwrap();
    }

    fn names(live: &LiveConfig) -> Vec<&str> {
        live.config().providers.iter().map(|provider| provider.name.as_str()).collect()
    }

    #[test]
    fn a_change_takes_effect_and_a_mistake_keeps_what_was() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        let mut live = LiveConfig::open(&home).unwrap();
        assert_eq!(live.look_again(), Look::Same);
        assert_eq!((names(&live), live.trouble()), (vec![], None));
        write(&home, "[providers.a]\nbase_url = \"https://x\"\n");
        assert_eq!((live.look_again(), live.look_again()), (Look::Changed, Look::Same));
        assert_eq!(names(&live), ["a"]);
        write(&home, "[providers.b]\n");
        let Look::Unusable(sentence) = live.look_again() else { panic!("{live:?}") };
        assert!(
            sentence.contains("config.toml:1:12: a provider needs a `base_url`; the last good"),
            "{sentence}"
        );
        assert_eq!(live.look_again(), Look::Same);
        assert_eq!((names(&live), live.trouble()), (vec!["a"], Some(&*sentence)));
        std::fs::remove_file(home.config()).unwrap();
        assert!(matches!(live.look_again(), Look::Unusable(_)));
        assert_eq!(names(&live), ["a"]);
        write(&home, "[providers.c]\nbase_url = \"https://x\"\n");
        assert_eq!(live.look_again(), Look::Changed);
        assert_eq!((names(&live), live.trouble()), (vec!["c"], None));
    }

    #[test]
    fn an_invalid_file_is_replaced_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        write(&home, "[providers.a]\nbase_url = \"https://x\"\n");
        last_good::load_and_keep(&home).unwrap();
        write(&home, "[providers.a]\n");
        let live = LiveConfig::open(&home).unwrap();
        assert_eq!(names(&live), ["a"]);
        assert!(live.trouble().unwrap().contains("the last good configuration ("), "{live:?}");
    }
}
