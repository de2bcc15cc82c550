//! The errors of commands: what failed and why, and the command that fixes it.

use exai_client::stop::StopError;
use exai_client::{ConnectError, LinkError};
use exai_config::{ConfigError, HomeError};
use exai_os::private::DirError;
use exai_proto::exit;

/// A failed command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error {
    code: u8,
    what: String,
    hint: Option<String>,
}

impl Error {
    /// The command was understood and could not be carried out.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Error { code: exit::FAILED, what: what.into(), hint: None }
    }

    /// The command line was wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Error { code: exit::USAGE, ..Error::failed(what) }
    }

    /// There is no daemon to ask.
    pub(crate) fn not_running(what: impl Into<String>) -> Self {
        Error { code: exit::NOT_RUNNING, ..Error::failed(what) }
    }

    /// It would not have been safe.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Error { code: exit::REFUSED, ..Error::failed(what) }
    }

    /// Another daemon is there.
    pub(crate) fn lock_held(what: impl Into<String>) -> Self {
        Error { code: exit::LOCK_HELD, ..Error::failed(what) }
    }

    /// The reader of the output has gone away, which is no failure.
    pub(crate) fn nobody_reads() -> Self {
        Error { code: exit::DONE, what: String::new(), hint: None }
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// What failed; empty where there is nothing to say.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The command that helps, if somebody must sign in first.
    pub(crate) fn login_command(&self) -> Option<&str> {
        self.hint.as_deref().filter(|hint| hint.starts_with("exai login "))
    }

    /// The lines for people; nothing where there is nothing to say.
    pub(crate) fn lines(&self) -> Option<(&str, Option<&str>)> {
        (!self.what.is_empty()).then_some((&self.what, self.hint.as_deref()))
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        let what = error.to_string();
        match error {
            ConnectError::NotRunning { .. } => Error::failed(what).hint("start it with `exai start`"),
            ConnectError::Refused(LinkError::ForeignPeer { .. }) | ConnectError::ForAnotherAccount(_) => {
                Error::refused(what)
            }
            ConnectError::Refused(LinkError::Version { .. }) => {
                Error::failed(what).hint("`exai restart` starts a daemon of this version")
            }
            ConnectError::Unreachable { .. } => {
                Error::failed(what).hint("`exai status` says what it is; `exai restart` replaces it")
            }
            ConnectError::StarterHangs { .. } => Error::failed(what)
                .hint("`exai status` says what is there; ending that process frees the lock"),
            ConnectError::StartFailed { .. } | ConnectError::Died { .. } => {
                Error::failed(what).hint("`exai serve` runs it in the foreground; `exai logs` shows its log")
            }
            ConnectError::Home(error) => error.into(),
            ConnectError::Refused(_) | ConnectError::Io { .. } => Error::failed(what),
        }
    }
}

impl From<HomeError> for Error {
    fn from(error: HomeError) -> Self {
        let what = error.to_string();
        match error {
            HomeError::Dir(
                DirError::Foreign { .. } | DirError::NotADirectory { .. } | DirError::Shared { .. },
            ) => Error::refused(what).hint("set EXAI_HOME to a directory of your own"),
            HomeError::Dir(DirError::NetworkFilesystem { .. }) => {
                Error::refused(what).hint("set EXAI_HOME to a local directory")
            }
            HomeError::Exposed { .. } => Error::refused(what),
            HomeError::Account(_) | HomeError::Relative { .. } | HomeError::Dir(DirError::Io { .. }) => {
                Error::failed(what)
            }
        }
    }
}

impl From<StopError> for Error {
    fn from(error: StopError) -> Self {
        match error {
            StopError::DaemonConnector(error) => error.into(),
            StopError::Unproven(_) => Error::refused(error.to_string()),
            StopError::Nameless { .. }
            | StopError::Refused(_)
            | StopError::StillThere(_)
            | StopError::Io { .. } => {
                Error::failed(error.to_string()).hint("`exai status` says what is there")
            }
        }
    }
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        Error::failed(format!("the link to the daemon: {error}")).hint("`exai status` says what is there")
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::failed(error.to_string())
    }
}
