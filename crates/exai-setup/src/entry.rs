//! A server as people have it.

use std::time::Duration;

/// A server as the configuration of a client, a README, a registry or a bundle describes it.
///
/// Texts are as they were written, except that references to variables are in the syntax of `config.toml`:
/// `${env:NAME}`. A reference that exai cannot resolve (`${input:token}`, `${workspaceFolder}`) stays as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEntry {
    /// The name in its source. It need not be a valid name in `config.toml`.
    pub name: String,
    /// How the server is started or reached.
    pub transport: Transport,
    /// Whether the source has switched the server off.
    pub disabled: bool,
    /// How long a start may take, if the source says so.
    pub start_timeout: Option<Duration>,
    /// How long a call may take, if the source says so.
    pub call_timeout: Option<Duration>,
    /// Which tools the source allows.
    pub tools: ToolChoice,
    /// The names of the environment variables and headers whose values the source declares to be secret.
    pub secrets: Vec<String>,
}

/// How a server is started or reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A child process, reached over its stdio.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its variables, in the order of the source.
        env: Vec<(String, String)>,
        /// Its working directory.
        cwd: Option<String>,
        /// A file with more variables.
        env_file: Option<String>,
    },
    /// A URL (Streamable HTTP, SSE or WebSocket).
    Url {
        /// The URL.
        url: String,
        /// Headers of each request, in the order of the source.
        headers: Vec<(String, String)>,
    },
}

/// Which tools of a server may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolChoice {
    /// If this is not empty, these alone.
    pub allow: Vec<String>,
    /// None of these.
    pub deny: Vec<String>,
}

impl Transport {
    /// The variables or the headers.
    pub fn pairs(&self) -> &[(String, String)] {
        match self {
            Transport::Stdio { env, .. } => env,
            Transport::Url { headers, .. } => headers,
        }
    }

    /// Every text in which a reference may stand.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let (first, more) = match self {
            Transport::Stdio { command, args, cwd, env_file, .. } => {
                (command, Some(args.iter().chain(cwd).chain(env_file)))
            }
            Transport::Url { url, .. } => (url, None),
        };
        let values = self.pairs().iter().map(|(_, value)| value);
        std::iter::once(first).chain(more.into_iter().flatten()).chain(values).map(String::as_str)
    }
}

impl ServerEntry {
    /// A server that is on, with no more than a name and a transport.
    pub fn new(name: impl Into<String>, transport: Transport) -> Self {
        ServerEntry {
            name: name.into(),
            transport,
            disabled: false,
            start_timeout: None,
            call_timeout: None,
            tools: ToolChoice::default(),
            secrets: Vec::new(),
        }
    }
}
