use std::fmt;
use std::path::{Path, PathBuf};

use exai_os::account::{self, AccountError};
use exai_os::private::{self, DirChecked, DirError};

use crate::environment;

/// The state directory of one daemon, and the files in it. Another directory is another daemon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Home {
    path: PathBuf,
}

/// Why there is no state directory to work with.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The account that decides its place is not known.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A relative `EXAI_HOME`, and no working directory to relate it to.
    #[error("cannot make EXAI_HOME ({}) absolute: {source}", path.display())]
    Relative {
        /// Its value.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The directory, or one in it, cannot hold our state.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// Other accounts may write `config.toml`, which decides what is executed, and can reach it: it may be theirs.
    /// The directory is left open, since in a private directory this could not be seen any more.
    #[error(
        "others may write {config} (mode {mode:04o}), and can get to it; look at what it says, then `chmod 700 {home} && \
         chmod 600 {config}`",
        home = home.display(),
        config = config.display()
    )]
    Exposed {
        /// The state directory.
        home: PathBuf,
        /// The file.
        config: PathBuf,
        /// The file's permission bits.
        mode: u32,
    },
}

/// Something [`Home::prepare`] put right and a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Others could enter this directory of ours, and no longer can.
    Tightened {
        /// The directory.
        path: PathBuf,
        /// Its permission bits before, where it has some.
        was: Option<u32>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Tightened { path, was } => {
                let mode = was.map(|mode| format!(" (mode {mode:04o})")).unwrap_or_default();
                write!(f, "{} was open to others{mode}; it is private now", path.display())
            }
        }
    }
}

impl Home {
    /// The directory that `EXAI_HOME` names, else `.exai` in the account's home. Creates nothing.
    pub fn locate() -> Result<Home, HomeError> {
        match environment::HOME.get() {
            Some(value) => match std::path::absolute(&value) {
                Ok(path) => Ok(Home { path }),
                Err(source) => Err(HomeError::Relative { path: value.into(), source }),
            },
            None => Home::usual(),
        }
    }

    /// The directory where no variable names one: `.exai` in the account's home. Creates nothing.
    pub fn usual() -> Result<Home, HomeError> {
        Ok(Home { path: account::current()?.home.join(".exai") })
    }

    /// A directory of the caller's choice, which should be absolute.
    pub fn at(path: impl Into<PathBuf>) -> Home {
        Home { path: path.into() }
    }

    /// Makes sure that the directory exists, is ours and private, as a lock in it needs. [`Home::prepare`] does the
    /// rest.
    pub fn ensure(&self) -> Result<(), HomeError> {
        self.refuse_if_exposed()?;
        private::ensure_dir(&self.path)?;
        Ok(())
    }

    fn refuse_if_exposed(&self) -> Result<(), HomeError> {
        let config = self.config();
        match private::exposed(&self.path, &config) {
            None => Ok(()),
            Some(mode) => Err(HomeError::Exposed { home: self.path.clone(), config, mode }),
        }
    }

    /// Makes sure that the directory and those in it exist, are ours and private.
    pub fn prepare(&self) -> Result<Vec<Note>, HomeError> {
        self.refuse_if_exposed()?;
        let mut notes = Vec::new();
        let directories =
            [self.path.clone(), self.servers_dir(), self.discovery_dir(), self.log_dir(), self.backups_dir()];
        for directory in directories {
            match private::ensure_dir(&directory)? {
                DirChecked::Created | DirChecked::AsItShouldBe => {}
                DirChecked::Tightened { was } => notes.push(Note::Tightened { path: directory, was }),
            }
        }
        Ok(notes)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`: what a person wants.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `config.lock`: held during an edit of `config.toml`.
    pub fn config_lock(&self) -> PathBuf {
        self.path.join("config.lock")
    }

    /// `installs.lock`: held while a file of a client is changed and that is recorded.
    pub fn installs_lock(&self) -> PathBuf {
        self.path.join("installs.lock")
    }

    /// `secrets.toml`: the values of `${secret:NAME}`.
    pub fn secrets(&self) -> PathBuf {
        self.path.join("secrets.toml")
    }

    /// `sign-ins`: one record for each sign-in at a server that runs elsewhere.
    pub fn sign_ins_dir(&self) -> PathBuf {
        self.path.join("sign-ins")
    }

    /// `token`: what lets a network client in.
    pub fn token(&self) -> PathBuf {
        self.path.join("token")
    }

    /// `tokens.json`: the hashes of the tokens that have a name each.
    pub fn named_tokens(&self) -> PathBuf {
        self.path.join("tokens.json")
    }

    /// `daemon.json`: the running daemon's record of itself.
    pub fn daemon_record(&self) -> PathBuf {
        self.path.join("daemon.json")
    }

    /// `instance.lock`: held by the daemon for life.
    pub fn instance_lock(&self) -> PathBuf {
        self.path.join("instance.lock")
    }

    /// `spawn.lock`: held by the process that starts the daemon.
    pub fn spawn_lock(&self) -> PathBuf {
        self.path.join("spawn.lock")
    }

    /// `servers`: one record per child tree.
    pub fn servers_dir(&self) -> PathBuf {
        self.path.join("servers")
    }

    /// `discovery`: what each server said of itself the last time it ran.
    pub fn discovery_dir(&self) -> PathBuf {
        self.path.join("discovery")
    }

    /// `discovery/NAME.json`. The name must have passed [`crate::server_name::check`], which keeps it from leading
    /// elsewhere.
    pub fn discovery(&self, name: &str) -> PathBuf {
        self.discovery_dir().join(format!("{name}.json"))
    }

    /// `discovery/NAME.modern.json`: the same for the modern era of MCP.
    pub fn modern_discovery(&self, name: &str) -> PathBuf {
        self.discovery_dir().join(format!("{name}.modern.json"))
    }

    /// `verdicts.json`: what was measured about each server.
    pub fn verdicts(&self) -> PathBuf {
        self.path.join("verdicts.json")
    }

    /// `clients.json`: when each client was connected last.
    pub fn last_connections(&self) -> PathBuf {
        self.path.join("clients.json")
    }

    /// `exai.db`: the threads of the EXAI tools.
    pub fn database(&self) -> PathBuf {
        self.path.join("exai.db")
    }

    /// `exai.db.lock`: held while `exai.db` is opened or put aside.
    pub fn database_lock(&self) -> PathBuf {
        self.path.join("exai.db.lock")
    }

    /// `backups`: the last good configurations, and those of clients as they were before exai changed them.
    pub fn backups_dir(&self) -> PathBuf {
        self.path.join("backups")
    }

    /// `bundles`: the files of servers that came as bundles, each bundle in a directory of its own.
    pub fn bundles_dir(&self) -> PathBuf {
        self.path.join("bundles")
    }

    /// `log`.
    pub fn log_dir(&self) -> PathBuf {
        self.path.join("log")
    }

    /// `log/daemon.log`.
    pub fn daemon_log(&self) -> PathBuf {
        self.log_dir().join("daemon.log")
    }

    /// `log/server-NAME.log`: what a server writes to its stderr. The name must have passed
    /// [`crate::server_name::check`], which keeps it from leading elsewhere.
    pub fn server_log(&self, name: &str) -> PathBuf {
        self.log_dir().join(format!("server-{name}.log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepares_what_is_missing_and_is_content_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("state"));
        assert_eq!(home.prepare().unwrap(), []);
        assert_eq!(home.prepare().unwrap(), []);
        assert!(home.servers_dir().is_dir() && home.log_dir().is_dir() && home.backups_dir().is_dir());
        assert_eq!(home.server_log("docs"), dir.path().join("state/log/server-docs.log"));
        let note = Note::Tightened { path: "/x".into(), was: Some(0o755) };
        assert_eq!(note.to_string(), "/x was open to others (mode 0755); it is private now");
    }

    #[test]
    fn a_file_in_the_way_is_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), "").unwrap();
        let error = Home::at(dir.path()).prepare().unwrap_err();
        assert!(matches!(error, HomeError::Dir(DirError::NotADirectory { .. })), "{error}");
    }
}
