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
        self.home.iter().map(|home| ("EXAI_HOME".to_owned(), home.clone())).collect()
    }
}

/// Whether an entry starts exai's shim, whichever build of exai and wherever it is.
pub fn starts_exai(entry: &ServerEntry) -> bool {
    let Transport::Stdio { command, args, .. } = &entry.transport else { return false };
    let file = command.rsplit(['/', '\\']).next().unwrap_or(command).to_ascii_lowercase();
    matches!(file.as_str(), "exai" | "exai.exe") && args.first().is_some_and(|first| first == "shim")
}
