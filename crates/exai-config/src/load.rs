use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use exai_os::private;

use crate::environment::{self, Variable};
use crate::fault::Fault;
use crate::limits::MAX_CONFIG_BYTES;
use crate::raw::{self, BACKSLASH_HINT, Checked};
use crate::salvage::{self, Salvage};
use crate::secret_store::SecretStore;
use crate::{AiSettings, AllowedHosts, Clients, Home, ModelAlias, Provider, ServerConfig, Servers, ai};

/// The port where neither the file nor the environment names one.
pub const DEFAULT_PORT: u16 = 8079;

/// Everything a person can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The `[daemon]` table.
    pub daemon: DaemonConfig,
    /// The `[servers.NAME]` tables.
    pub servers: Servers,
    /// The `[clients.NAME]` tables. A client that has none sees everything.
    pub clients: Clients,
    /// The `[providers.NAME]` tables, in the order of the file.
    pub providers: Vec<Provider>,
    /// The `[models.NAME]` tables, in the order of the file.
    pub models: Vec<ModelAlias>,
    /// The `[ai]` table.
    pub ai: AiSettings,
    /// The secrets that the servers may refer to. Empty until whoever starts servers has read them.
    pub secrets: SecretStore,
}

/// What concerns the daemon itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonConfig {
    /// The TCP port of the HTTP endpoints; 0 takes any free one.
    pub port: Setting<u16>,
    /// The names under which the daemon is reached through a proxy.
    pub allowed_hosts: AllowedHosts,
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No layer sets it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(Variable),
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there but cannot be read (or is not a plain file of ours, or too long).
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file says something that makes no sense.
    #[error("{}:{line}:{column}: {sentence}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// What is wrong there. It never holds the value of a variable or a header.
        sentence: String,
    },
    /// An environment variable makes no sense.
    #[error("{}={value} is no port; it takes a number from 0 to 65535", variable.name)]
    Environment {
        /// The variable.
        variable: Variable,
        /// Its value.
        value: String,
    },
}

/// The configuration of this home: the defaults, over them `config.toml` if there is one, over that the
/// environment.
pub fn load(home: &Home) -> Result<Config, ConfigError> {
    let path = home.config();
    let text = read(&path)?;
    Config::from_text(&path, &text.unwrap_or_default(), environment::PORT.get().as_deref())
}

/// The text of the file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let bytes = match private::read_trusted(path, MAX_CONFIG_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
    };
    // As Windows PowerShell writes it, unless it is told otherwise.
    if let Some(text) = from_utf16(&bytes) {
        return Ok(Some(text));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        invalid(path, &before, before.len(), "this is not UTF-8 text; save the file as UTF-8".to_owned())
    })?;
    // Some Windows editors put a byte order mark first.
    Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
}

/// The text of bytes that begin with a byte order mark of UTF-16.
fn from_utf16(bytes: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, rest) = bytes[2..].as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

/// The message of the parser, with a hint where it is about an escape.
fn explained(sentence: &str) -> String {
    let of_an_escape = ["missing escaped value", "too few unicode value digits", "invalid unicode value"];
    if of_an_escape.iter().any(|known| sentence.contains(known)) {
        return format!("{sentence}; {BACKSLASH_HINT}");
    }
    sentence.to_owned()
}

impl Config {
    /// The provider of this name, in any case.
    pub fn find_provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name.eq_ignore_ascii_case(name))
    }

    /// The model that has this name in the file, in any case.
    pub fn find_model(&self, name: &str) -> Option<&ModelAlias> {
        self.models.iter().find(|model| model.name.eq_ignore_ascii_case(name))
    }

    /// The names of the secrets that servers and providers refer to.
    pub fn find_secrets(&self) -> BTreeSet<String> {
        let of_servers = self.servers.iter().flat_map(|(_, server)| server.find_secrets());
        of_servers.chain(self.providers.iter().flat_map(Provider::find_secrets)).collect()
    }

    /// The name of the server that is the EXAI tools, if they were added.
    pub fn find_tools_server(&self) -> Option<&str> {
        let is_tools =
            |server: &ServerConfig| server.args.first().is_some_and(|arg| arg == ai::SERVER_COMMAND);
        self.servers.iter().find(|(_, server)| is_tools(server)).map(|(name, _)| name)
    }

    /// Whether no layer sets anything.
    pub(crate) fn is_blank(&self) -> bool {
        self.servers.is_empty()
            && self.clients.iter().next().is_none()
            && self.providers.is_empty()
            && self.models.is_empty()
            && self.ai == AiSettings::default()
            && self.daemon.port.origin == Origin::Default
            && self.daemon.allowed_hosts.is_empty()
    }

    /// The configuration that this text means. `path` appears in errors and origins; `port` is the value
    /// of the environment variable [`environment::PORT`].
    pub fn from_text(path: &Path, text: &str, port: Option<&OsStr>) -> Result<Config, ConfigError> {
        let file: raw::File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            invalid(path, text, at, explained(error.message()))
        })?;
        let port = chosen_port(path, text, &file.daemon, port)?;
        let wrong = |fault: Fault| invalid(path, text, fault.at.start, fault.sentence);
        let allowed_hosts = AllowedHosts::check(&file.daemon.allowed_hosts).map_err(wrong)?;
        let Checked { servers, clients, providers, models, ai } = file.check().map_err(wrong)?;
        let (daemon, secrets) = (DaemonConfig { port, allowed_hosts }, SecretStore::default());
        Ok(Config { daemon, servers, clients, providers, models, ai, secrets })
    }

    /// The valid parts of an invalid text, and the names of the invalid servers.
    pub(crate) fn salvaged(
        path: &Path,
        text: &str,
        port: Option<&OsStr>,
    ) -> Result<(Config, Vec<String>), ConfigError> {
        let Salvage { daemon, servers, clients, providers, models, ai, left_out } = salvage::salvage(text);
        let port = chosen_port(path, text, &daemon, port)?;
        // Of a list with a mistake nobody knows which hosts are meant.
        let allowed_hosts = AllowedHosts::check(&daemon.allowed_hosts).unwrap_or_default();
        let daemon = DaemonConfig { port, allowed_hosts };
        let (servers, secrets) = (Servers(servers), SecretStore::default());
        let config = Config { daemon, servers, clients, providers, models, ai, secrets };
        Ok((config, left_out))
    }
}

fn chosen_port(
    path: &Path,
    text: &str,
    daemon: &raw::Daemon,
    port: Option<&OsStr>,
) -> Result<Setting<u16>, ConfigError> {
    Ok(match (port, &daemon.port) {
        (Some(value), _) => {
            Setting { value: parse_port(value)?, origin: Origin::Environment(environment::PORT) }
        }
        (None, Some(port)) => {
            let (line, _) = place(text, port.span().start);
            Setting { value: *port.get_ref(), origin: Origin::File { path: path.to_owned(), line } }
        }
        (None, None) => Setting { value: DEFAULT_PORT, origin: Origin::Default },
    })
}

fn parse_port(value: &OsStr) -> Result<u16, ConfigError> {
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| ConfigError::Environment {
        variable: environment::PORT,
        value: value.to_string_lossy().into_owned(),
    })
}

fn invalid(path: &Path, text: &str, at: usize, sentence: String) -> ConfigError {
    let (line, column) = place(text, at);
    // The parser's longer messages have several lines: the first is the sentence, the rest hints.
    let sentence = sentence.trim().replace('\n', "; ");
    ConfigError::Invalid { path: path.to_owned(), line, column, sentence }
}

/// Line and column, counted from 1, of a byte of the text.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
