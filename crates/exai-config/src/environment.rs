//! Every environment variable that exai obeys, and the only place that reads them.

use std::ffi::OsString;

/// An environment variable and what it does, for help texts and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub meaning: &'static str,
}

impl Variable {
    /// Its value. An empty value is the same as none, so that a variable can be switched off.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn get(self) -> Option<OsString> {
        std::env::var_os(self.name).filter(|value| !value.is_empty())
    }
}

/// The state directory.
pub const HOME: Variable = Variable {
    name: "EXAI_HOME",
    meaning: "the state directory, instead of .exai in the account's home; another directory is another, \
              separate daemon",
};

/// The TCP port.
pub const PORT: Variable = Variable {
    name: "EXAI_PORT",
    meaning: "the port of the HTTP endpoints, instead of `port` in config.toml; 0 takes any free one",
};

/// What is logged.
pub const LOG: Variable =
    Variable { name: "EXAI_LOG", meaning: "what the daemon logs, as in `info` or `exai_mux=debug`" };

/// The registry of MCP servers.
pub const REGISTRY: Variable = Variable {
    name: "EXAI_REGISTRY",
    meaning: "the registry that `exai add NAMESPACE/NAME` asks, instead of that of modelcontextprotocol.io: an https \
              URL, or an http URL on this machine",
};

/// The local model servers.
pub const LOCAL_MODELS: Variable = Variable {
    name: "EXAI_LOCAL_MODELS",
    meaning: "where `exai add --tools` looks for a local Ollama and a local LM Studio, instead of \
              127.0.0.1:11434,127.0.0.1:1234",
};

/// The system's keyring.
pub const KEYRING: Variable = Variable {
    name: "EXAI_KEYRING",
    meaning: "`off` keeps sign-ins in plain private files, and never asks the keyring of the system",
};

/// No colours; see <https://no-color.org>.
pub const NO_COLOR: Variable = Variable { name: "NO_COLOR", meaning: "no colours in the output" };

/// All of them.
pub const ALL: [Variable; 7] = [HOME, PORT, LOG, REGISTRY, LOCAL_MODELS, KEYRING, NO_COLOR];

/// The whole environment of this process, for [`exai_os::account::environment`] to choose from.
pub fn of_this_process() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}
