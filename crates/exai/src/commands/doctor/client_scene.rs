//! What the clients of this machine have, read once for all checks of clients.

use std::path::PathBuf;

use exai_config::Home;
use exai_proto::last_connections::LastConnections;
use exai_setup::client::{Client, Directories, clients, find_client, starts_exai};
use exai_setup::{Encoding, ServerEntry, TextFile, Transport};

use crate::client_config::installs::{Install, Installs};
use crate::client_config::{self, Located, last_connections};

/// The clients at one moment.
#[derive(Debug)]
pub(super) struct ClientScene {
    pub(super) files: Vec<ClientFile>,
    /// What exai has written into which file.
    pub(super) installs: Vec<Install>,
    /// Why that is not known.
    pub(super) installs_fault: Option<String>,
    pub(super) last: LastConnections,
}

/// A file of a client that exai's entry goes into, or that exai has changed.
#[derive(Debug)]
pub(super) struct ClientFile {
    pub(super) client: &'static Client,
    pub(super) path: PathBuf,
    pub(super) content: Content,
}

/// What a file holds.
#[derive(Debug)]
pub(super) enum Content {
    /// There is no such file.
    Missing,
    /// It cannot be read, or not as its client reads it. A sentence that names the file.
    Unreadable(String),
    /// These servers of the account.
    Servers { encoding: Encoding, servers: Vec<ServerEntry> },
}

/// An entry that starts exai.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExaiEntry<'a> {
    pub(super) file: &'a ClientFile,
    pub(super) entry: &'a ServerEntry,
    pub(super) command: &'a str,
    pub(super) args: &'a [String],
    pub(super) env: &'a [(String, String)],
}

impl ClientScene {
    /// Reads the files. The error is a sentence.
    pub(super) fn look(home: &Home) -> Result<Self, String> {
        let directories = client_config::find_directories().map_err(|error| error.what().to_owned())?;
        let (installs, installs_fault) = match Installs::load(home) {
            Ok(installs) => (installs.files, None),
            Err(error) => (Vec::new(), Some(error.what().to_owned())),
        };
        let mut files: Vec<ClientFile> =
            clients().iter().flat_map(|client| find_files(client, &directories)).collect();
        for install in &installs {
            let is_known = |file: &ClientFile| file.client.id == install.client && file.path == install.path;
            if files.iter().any(is_known) {
                continue;
            }
            let Some(client) = find_client(&install.client) else { continue };
            let located = client_config::locate_recorded(client, &install.path, &directories);
            files.extend(located.map(|located| ClientFile::read(client, located)));
        }
        Ok(ClientScene { files, installs, installs_fault, last: last_connections::load(home) })
    }

    /// The entries that start exai.
    pub(super) fn entries(&self) -> impl Iterator<Item = ExaiEntry<'_>> {
        self.files.iter().flat_map(ClientFile::entries)
    }

    /// The file that exai has recorded.
    pub(super) fn find(&self, install: &Install) -> Option<&ClientFile> {
        self.files.iter().find(|file| file.client.id == install.client && file.path == install.path)
    }
}

/// The files that exai's entry goes into, by the hand of exai or of the user.
fn find_files(client: &'static Client, directories: &Directories) -> Vec<ClientFile> {
    let (mut located, _) = client_config::locate_entries(client, directories);
    located.retain(|one| one.exists);
    located.into_iter().map(|one| ClientFile::read(client, one)).collect()
}

impl ClientFile {
    fn read(client: &'static Client, located: Located) -> Self {
        let content = read(client, &located).unwrap_or_else(Content::Unreadable);
        ClientFile { client, path: located.path, content }
    }

    /// `Cursor (/home/me/.cursor/mcp.json)`.
    pub(super) fn shown(&self) -> String {
        format!("{} ({})", self.client.display_name, self.path.display())
    }

    /// The servers of the file. There are none where it cannot be read.
    pub(super) fn servers(&self) -> &[ServerEntry] {
        match &self.content {
            Content::Servers { servers, .. } => servers,
            Content::Missing | Content::Unreadable(_) => &[],
        }
    }

    /// The entries that start exai.
    pub(super) fn entries(&self) -> impl Iterator<Item = ExaiEntry<'_>> {
        self.servers().iter().filter(|entry| starts_exai(entry)).filter_map(|entry| match &entry.transport {
            Transport::Stdio { command, args, env, .. } => {
                Some(ExaiEntry { file: self, entry, command, args, env })
            }
            Transport::Url { .. } => None,
        })
    }
}

fn read(client: &'static Client, located: &Located) -> Result<Content, String> {
    let path = &located.path;
    let bytes = client_config::read(path).map_err(|error| error.what().to_owned())?;
    let Some(bytes) = bytes else { return Ok(Content::Missing) };
    let refuse = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let TextFile { text, encoding } = TextFile::decode(&bytes).map_err(|error| refuse(&error))?;
    let found = client.read_servers(located.file, &text).map_err(|error| refuse(&error))?;
    // A server of one project is a matter of that project.
    let own = found.servers.into_iter().filter(|server| server.project.is_none());
    Ok(Content::Servers { encoding, servers: own.map(|server| server.entry).collect() })
}
