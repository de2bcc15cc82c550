//! `installs.json`: what exai has written into the files of clients, so that it can be taken out again.
//!
//! The file is private to the account and holds the schema and one record for each file of a client. The original bytes of
//! a file are beside it, in `backups/clients/`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use exai_config::Home;
use exai_os::lock::{self, HeldLock};
use exai_os::private;
use exai_proto::fnv1a::fnv1a;
use exai_setup::Encoding;
use exai_setup::format::Made;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::limits::{INSTALLS_LOCK_TIMEOUT, MAX_INSTALLS_BYTES};

/// What exai has written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Installs {
    schema: u32,
    /// One for each file.
    #[serde(rename = "installs")]
    pub(crate) files: Vec<Install>,
    /// What `exai import` has added to exai's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) import: Option<Import>,
}

/// What `exai import` has added to exai's own configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Import {
    /// The servers in `config.toml`.
    pub(crate) servers: Vec<String>,
    /// The names in `secrets.toml`.
    pub(crate) secrets: Vec<String>,
    /// The clients with a table in `config.toml`.
    pub(crate) clients: Vec<String>,
    /// The bytes of `config.toml` before.
    pub(crate) original: Original,
    /// The bytes that were there when the import was done, as a file in `backups/clients/`. `None` while it goes on.
    pub(crate) written: Option<String>,
}

/// What a file was before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Original {
    /// There was none.
    #[default]
    Missing,
    /// These bytes, as a file in `backups/clients/`.
    Kept(String),
    /// Somebody has changed it between two imports: only what exai has added can be taken out again.
    Unknown,
}

/// What exai has written into one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Install {
    /// The id of the client.
    pub(crate) client: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// When exai wrote into the file last, as an RFC 3339 timestamp.
    #[serde(default)]
    pub(crate) at: Option<String>,
    /// The entries, in the order in which they were written.
    pub(crate) entries: Vec<InstalledEntry>,
    /// The entries that exai stands in the place of, in the order in which they were switched off or taken out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) replaced: Vec<ReplacedEntry>,
    /// The directories that were made for the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) directories: Vec<PathBuf>,
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

/// An entry of the user that exai stands in the place of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReplacedEntry {
    pub(crate) name: String,
    pub(crate) how: Replaced,
}

/// What a file held once.
pub(crate) enum Before {
    /// There was no file.
    Missing,
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Before {
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Before::Missing => None,
            Before::Bytes(bytes) => Some(bytes),
        }
    }
}

/// What was done with an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Replaced {
    /// It was switched off, and this was made for the switch.
    SwitchedOff(Option<Made>),
    /// It was taken out. It is in a file in `backups/clients/`, which holds the whole file of before.
    TakenOut(String),
}

fn path(home: &Home) -> PathBuf {
    home.path().join("installs.json")
}

fn backups(home: &Home) -> PathBuf {
    home.backups_dir().join("clients")
}

/// Takes the lock that is held from the reading of the record to the end of a change. `None` where there is no state
/// directory: then there is no record either.
pub(crate) fn lock(home: &Home) -> Result<Option<HeldLock>, Error> {
    let path = home.installs_lock();
    match lock::lock_until(&path, Instant::now() + INSTALLS_LOCK_TIMEOUT) {
        Ok(Some(held)) => Ok(Some(held)),
        Ok(None) => Err(Error::failed(format!(
            "{} is held by another exai that changes the clients' files",
            path.display()
        ))
        .hint("wait until it is done, and try again")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::failed(format!("cannot lock {}: {error}", path.display()))),
    }
}

impl Install {
    /// The files in `backups/clients/` that this record names.
    pub(crate) fn kept_names(&self) -> Vec<String> {
        let taken_out = self.replaced.iter().filter_map(|entry| match &entry.how {
            Replaced::TakenOut(kept) => Some(kept),
            Replaced::SwitchedOff(_) => None,
        });
        self.original.iter().chain([&self.written]).chain(taken_out).cloned().collect()
    }
}

impl Import {
    /// The files in `backups/clients/` that this record names.
    pub(crate) fn kept_names(&self) -> Vec<String> {
        let original = match &self.original {
            Original::Kept(kept) => Some(kept),
            Original::Missing | Original::Unknown => None,
        };
        original.into_iter().chain(&self.written).cloned().collect()
    }
}

impl Installs {
    /// Removes those of these files in `backups/clients/` that no record names any more.
    pub(crate) fn discard_unnamed(&self, home: &Home, names: Vec<String>) {
        let of_files = self.files.iter().flat_map(Install::kept_names);
        let needed: BTreeSet<String> =
            of_files.chain(self.import.iter().flat_map(Import::kept_names)).collect();
        for name in names.into_iter().filter(|name| !needed.contains(name)) {
            // A record that was changed by hand may name a file somewhere else.
            if Path::new(&name).file_name() == Some(name.as_ref()) {
                // A file that is gone already does no harm, nor does one that stays.
                let _ = fs::remove_file(backups(home).join(name));
            }
        }
    }

    pub(crate) fn load(home: &Home) -> Result<Self, Error> {
        let path = path(home);
        let shown = path.display();
        match private::read(&path, MAX_INSTALLS_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::failed(format!("{shown}: {error}")).hint("move the file away")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Installs { schema: 1, files: Vec::new(), import: None })
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
        self.files.iter().find(|install| install.client == client && install.path == file)
    }

    /// Lets another file in this directory answer for it, if there is one.
    pub(crate) fn hand_on(&mut self, directory: PathBuf) {
        if let Some(other) = self.files.iter_mut().find(|install| install.path.starts_with(&directory)) {
            other.directories.push(directory);
        }
    }

    pub(crate) fn forget(&mut self, client: &str, file: &Path) {
        self.files.retain(|install| install.client != client || install.path != file);
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
