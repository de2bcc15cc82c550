use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::account::Accounts;
use crate::sign_in::SignInConfig;
use crate::web_address::WebProtocol;
use crate::{Secret, Via};

/// The client's working directory, in a text of a server.
pub const CLIENT_CWD: &str = "${client.cwd}";

/// One `[servers.NAME]` table, checked, with the defaults filled in. Texts are as they were written:
/// `${…}` in them is resolved when the server starts, by [`crate::expand`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The program; none for a server that runs elsewhere.
    pub command: Option<String>,
    /// Its arguments; those of ssh for a server that is reached through it.
    pub args: Vec<String>,
    /// Variables on top of the daemon's environment.
    pub env: BTreeMap<String, Secret>,
    /// Its working directory. Relative to the account's home, which is also the default.
    pub cwd: Option<String>,
    /// Which clients share an instance.
    pub share: Share,
    /// When the first instance is started.
    pub start: StartPolicy,
    /// How long an instance stays after its last client has gone. Default 15 minutes; zero is at once.
    pub idle_stop: Duration,
    /// How long a start may take: first runs of `npx` download. Default 2 minutes.
    pub start_timeout: Duration,
    /// How long a call may take without progress. Default 5 minutes.
    pub call_timeout: Duration,
    /// The generation of the protocol that it speaks.
    pub era: EraChoice,
    /// Whether clients that speak only 2026-07-28 are served though the server speaks an older revision, and are asked
    /// what it asks. Default: false.
    pub bridge: bool,
    /// Whether its annotations (read-only, idempotent) are trusted for repeating a call. Default: true for a command,
    /// false for a URL alone.
    pub trusted: bool,
    /// How far its processes are contained.
    pub containment: Containment,
    /// Which of its tools are passed on.
    pub tools: ToolFilter,
    /// A tree with more processes is reported. Default 32.
    pub max_processes: u32,
    /// After so many unasked ends within a minute it is started no more, until it is restarted by hand or changed.
    /// Default 5, and 0 for a server that runs elsewhere; 0 for any number.
    pub crash_limit: u32,
    /// The exai on another machine that hosts it.
    pub via: Option<Via>,
    /// Where it is reached by HTTP or WebSocket; with a `command`, where that command listens.
    pub url: Option<String>,
    /// Headers of each request to the URL.
    pub headers: BTreeMap<String, Secret>,
    /// How exai signs in there, if the server asks for it.
    pub sign_in: SignInConfig,
    /// Its accounts, if there are several.
    pub accounts: Accounts,
}

/// How a server is started and reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// A child of the daemon, reached over its stdio.
    Stdio,
    /// A server that exai does not start, reached by URL.
    Remote,
    /// A child of the daemon that opens its own port, reached by URL.
    Listening,
    /// A server that the exai of another machine hosts, reached over the stdio of ssh.
    Ssh,
}

/// The arguments as they may be shown: what follows a flag that is named like a credential is not.
pub fn shown_args(args: &[String]) -> Vec<String> {
    const HIDDEN: &str = "<redacted>";
    let secret = |flag: &str| {
        let flag = flag.to_ascii_lowercase();
        flag.starts_with('-')
            && ["token", "key", "secret", "password", "passwd", "auth"].iter().any(|word| flag.contains(word))
    };
    let mut hide_next = false;
    let mut shown = Vec::new();
    for arg in args {
        let reference = arg.starts_with("${");
        shown.push(match arg.split_once('=') {
            Some((flag, value)) if secret(flag) && !value.starts_with("${") => format!("{flag}={HIDDEN}"),
            _ if hide_next && !arg.starts_with('-') && !reference => HIDDEN.to_owned(),
            _ => arg.clone(),
        });
        hide_next = secret(arg) && !arg.contains('=');
    }
    shown
}

impl Share {
    /// The word for it in the file.
    pub fn name(self) -> &'static str {
        match self {
            Share::Auto => "auto",
            Share::Shared => "shared",
            Share::Client => "client",
            Share::Project => "project",
        }
    }
}

/// Whether a header with this name says who asks.
pub(crate) fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}

impl ServerConfig {
    /// How this server is started and reached.
    pub fn kind(&self) -> ServerKind {
        match (&self.command, &self.url) {
            _ if self.via.is_some() => ServerKind::Ssh,
            (_, None) => ServerKind::Stdio,
            (None, Some(_)) => ServerKind::Remote,
            (Some(_), Some(_)) => ServerKind::Listening,
        }
    }

    /// Whether its `headers` have an `Authorization` of their own. Then nobody signs in there.
    pub fn has_authorization(&self) -> bool {
        self.headers.keys().any(|name| is_authorization(name))
    }

    /// The word for how it is spoken to, in lists: `stdio` for a child over stdio, `ssh` for one of another exai, otherwise
    /// `ws` or `http`, by its URL.
    pub fn transport(&self) -> &'static str {
        let is_web_socket = |url: &String| {
            WebProtocol::split(url).is_some_and(|(protocol, ..)| protocol == WebProtocol::WebSocket)
        };
        match &self.url {
            _ if self.via.is_some() => "ssh",
            None => "stdio",
            Some(url) if is_web_socket(url) => "ws",
            Some(_) => "http",
        }
    }

    /// Whether it names the client's working directory anywhere. Then it can be shared only within a project.
    pub fn is_per_project(&self) -> bool {
        self.share == Share::Project || self.texts().any(|text| text.contains(CLIENT_CWD))
    }

    /// Every text in which `${…}` has a meaning. Some may hold secrets.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let plain = self
            .command
            .iter()
            .chain(&self.args)
            .chain(&self.cwd)
            .chain(&self.url)
            .chain(&self.sign_in.client_id);
        let secret = self.env.values().chain(self.headers.values()).chain(&self.sign_in.client_secret);
        plain.map(String::as_str).chain(secret.map(Secret::expose))
    }
}

/// Which clients share one instance of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// As far as measurements of the server show that it is safe.
    #[default]
    Auto,
    /// All clients.
    Shared,
    /// Each client has its own.
    Client,
    /// The clients that work in the same directory.
    Project,
}

/// When a server is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartPolicy {
    /// When the first client needs it.
    #[default]
    Lazy,
    /// With the daemon.
    Eager,
}

/// The generation of the protocol that a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EraChoice {
    /// Find out, and remember.
    #[default]
    Auto,
    /// With `initialize`.
    Legacy,
    /// With metadata in each message.
    Modern,
}

/// How far the processes of a server are contained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Containment {
    /// Every descendant ends with the server.
    #[default]
    Strict,
    /// The process group ends with it; programs that leave the group may stay.
    Group,
}

/// Which tools of a server are passed on: those that an `allow` pattern matches and no `deny` pattern
/// does. `*` in a pattern stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolFilter {
    /// Default: every tool.
    pub allow: Vec<String>,
    /// Default: none.
    pub deny: Vec<String>,
}

impl Default for ToolFilter {
    fn default() -> ToolFilter {
        ToolFilter { allow: vec!["*".to_owned()], deny: Vec::new() }
    }
}

/// The servers in the order of the file. What two of them offer alike belongs to the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers(pub(crate) Vec<(String, ServerConfig)>);

impl Servers {
    /// The server of exactly this name.
    pub fn get(&self, name: &str) -> Option<&ServerConfig> {
        self.iter().find(|(known, _)| *known == name).map(|(_, server)| server)
    }

    /// See [`crate::AccountConfig::resolve_directories`]. Blocks.
    pub fn resolve_directories(&mut self, home: &Path) {
        let accounts = self.0.iter_mut().flat_map(|(_, server)| &mut server.accounts.0);
        accounts.for_each(|(_, account)| account.resolve_directories(home));
    }

    /// Names and servers, in the order of the file.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &ServerConfig)> + ExactSizeIterator {
        self.0.iter().map(|(name, server)| (name.as_str(), server))
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_follows_a_flag_named_like_a_credential_is_not_shown() {
        let shown = |args: &[&str]| {
            super::shown_args(&args.iter().map(ToString::to_string).collect::<Vec<_>>()).join(" ")
        };
        assert_eq!(shown(&["--api-key", "abc", "x"]), "--api-key <redacted> x");
        assert_eq!(shown(&["--token=abc", "--verbose"]), "--token=<redacted> --verbose");
        assert_eq!(shown(&["--token", "${secret:T}", "-y"]), "--token ${secret:T} -y");
        assert_eq!(shown(&["server.js", "/data"]), "server.js /data");
    }
}
