//! How a client starts exai.

use crate::{ServerEntry, Transport};

/// What an entry of exai in the configuration of a client starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The absolute path of exai.
    pub program: String,
    /// The id of the client.
    pub client: String,
    /// The only server that the client shall see; all of them if this is `None`.
    pub server: Option<String>,
    /// The state directory, if it is not the default one.
    pub home: Option<String>,
    /// The port of a daemon that the shim starts, if a variable says so.
    pub port: Option<String>,
}

impl Launch {
    /// The arguments of the program.
    pub fn args(&self) -> Vec<String> {
        let mut args = vec!["shim".to_owned(), "--client".to_owned(), self.client.clone()];
        if let Some(server) = &self.server {
            args.extend(["--server".to_owned(), server.clone()]);
        }
        args
    }

    /// The variables of the program.
    pub fn env(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &Option<String>| Some((name.to_owned(), value.clone()?));
        [pair("EXAI_HOME", &self.home), pair("EXAI_PORT", &self.port)].into_iter().flatten().collect()
    }
}

/// Whether an entry starts exai's shim, whichever build of exai and wherever it is.
pub fn starts_exai(entry: &ServerEntry) -> bool {
    exai_arguments(entry).is_some()
}

/// The arguments with which an entry starts exai's shim. `None` if it starts something else.
pub fn exai_arguments(entry: &ServerEntry) -> Option<&[String]> {
    let Transport::Stdio { command, args, .. } = &entry.transport else { return None };
    let file = command.rsplit(['/', '\\']).next().unwrap_or(command).to_ascii_lowercase();
    let is_shim = args.first().is_some_and(|first| first == "shim");
    (matches!(file.as_str(), "exai" | "exai.exe") && is_shim).then_some(args)
}
