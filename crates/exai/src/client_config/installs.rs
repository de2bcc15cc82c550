//! `installs.json`: what exai has written into the files of clients, so that it can be taken out again.
//!
//! The file is private to the account and holds the schema and one record for each file of a client. The original bytes of
//! a file are beside it, in `backups/clients/`.

use std::io;
use std::path::{Path, PathBuf};

use exai_config::Home;
use exai_os::private;
use exai_proto::fnv1a::fnv1a;
use exai_setup::Encoding;
use exai_setup::format::Made;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::limits::MAX_INSTALLS_BYTES;

/// What exai has written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Installs {
    schema: u32,
    pub(crate) installs: Vec<Install>,
}

/// What exai has written into one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Install {
    /// The id of the client.
    pub(crate) client: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// The entries, in the order in which they were written.
    pub(crate) entries: Vec<InstalledEntry>,
    /// How the file was encoded before.
    pub(crate) encoding: Encoding,
    /// The original bytes, as a file in `backups/clients/`. `None` if there was no file.
    pub(crate) original: Option<String>,
    /// The bytes that exai has written, as a file in `backups/clients/`: if the file still holds them, the original can be put
    /// back byte for byte.
    pub(crate) written: String,
}

/// An entry of exai in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstalledEntry {
    pub(crate) name: String,
    pub(crate) made: Option<Made>,
}

fn path(home: &Home) -> PathBuf {
    home.path().join("installs.json")
}

fn backups(home: &Home) -> PathBuf {
    home.backups_dir().join("clients")
}

impl Installs {
    pub(crate) fn load(home: &Home) -> Result<Self, Error> {
        let path = path(home);
        let shown = path.display();
        match private::read(&path, MAX_INSTALLS_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::failed(format!("{shown}: {error}")).hint("move the file away")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Installs { schema: 1, installs: Vec::new() })
            }
            Err(error) => Err(Error::failed(format!("cannot read {shown}: {error}"))),
        }
    }

    pub(crate) fn save(&self, home: &Home) -> Result<(), Error> {
        let path = path(home);
        let text = serde_json::to_vec_pretty(self).expect("BUG: a record can be written");
        private::write_atomic(&path, &text)
            .map_err(|error| Error::failed(format!("cannot write {}: {error}", path.display())))
    }

    pub(crate) fn find(&self, client: &str, file: &Path) -> Option<&Install> {
        self.installs.iter().find(|install| install.client == client && install.path == file)
    }

    pub(crate) fn forget(&mut self, client: &str, file: &Path) {
        self.installs.retain(|install| install.client != client || install.path != file);
    }
}

/// Keeps bytes in `backups/clients/`, under their own hash. Returns the name of the file.
pub(crate) fn keep_bytes(home: &Home, client: &str, bytes: &[u8]) -> Result<String, Error> {
    let directory = backups(home);
    private::ensure_dir(&directory).map_err(|error| Error::failed(error.to_string()))?;
    let name = format!("{client}-{:016x}-{}", fnv1a(bytes), bytes.len());
    let path = directory.join(&name);
    private::write_atomic(&path, bytes)
        .map_err(|error| Error::failed(format!("cannot write {}: {error}", path.display())))?;
    Ok(name)
}

/// The bytes that were kept under this name. `None` if they are gone.
pub(crate) fn kept_bytes(home: &Home, name: &str) -> Option<Vec<u8>> {
    private::read(&backups(home).join(name), exai_setup::MAX_FILE_BYTES as u64).ok()
}
