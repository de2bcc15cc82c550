//! `servers/*.json`: a record of each child tree. The next daemon needs it after a daemon and a guard died at the
//! same moment.
//!
//! A record is written before anything is started (an intent without processes), again when guard and root run, and
//! whenever a process joins or leaves the tree. A record alone proves nothing: a process that it names is ours only
//! if the kernel gives the living process the same identity.

use std::io;
use std::path::{Path, PathBuf};

use exai_os::descent_tag::DescentTag;
use exai_os::process::Identity;
use exai_os::tree::KillScope;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_RECORD_BYTES;

/// The schema number of a record.
pub const SCHEMA: u32 = 1;

/// One child tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The nonce of the daemon that started it.
    pub instance: String,
    /// The daemon's identity.
    pub daemon: Identity,
    /// The server's name.
    pub server: String,
    /// `NAME#N`.
    pub id: String,
    /// When the start of the tree began, RFC 3339.
    pub started_at: String,
    /// How far containment reaches.
    pub containment: Containment,
    /// The guard first, then the root, then the processes that were seen below it. Empty before the start.
    pub processes: Vec<Recorded>,
}

/// One process of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its process id.
    pub pid: u32,
    /// Which process that is.
    pub identity: Identity,
    /// Its place.
    pub place: TreeRole,
    /// Its short name.
    pub name: String,
}

/// The role of a process in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeRole {
    /// It ends the tree.
    Guard,
    /// The process that was spawned.
    Root,
    /// A process that was seen below the root.
    Member,
}

/// How far a server's tree reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Containment {
    /// Everything that descends from the root, whatever it does to get away.
    #[default]
    Strict,
    /// The root's process group: what leaves it is meant to stay.
    Group,
}

/// The path of the record of an instance: `servers/NAME.N.NONCE.json`, so that no daemon overwrites a record of an
/// earlier one. `id` is `NAME#N`.
pub fn path(servers_dir: &Path, id: &str, nonce: &str) -> PathBuf {
    let nonce: String = nonce.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    servers_dir.join(format!("{}.{nonce}.json", id.replace('#', ".")))
}

impl Containment {
    /// What ends when such a tree is ended.
    pub fn kill_scope(self) -> KillScope {
        match self {
            Containment::Strict => KillScope::Descendants,
            Containment::Group => KillScope::Group,
        }
    }
}

impl TreeRecord {
    /// The descent tag of this tree.
    pub fn descent_tag(&self) -> DescentTag {
        DescentTag::new(&self.instance, &self.id, self.containment.kill_scope())
    }

    /// Writes the record. A reader sees the old one or the new one.
    pub fn write(&self, servers_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        exai_os::private::replace(&path(servers_dir, &self.id, &self.instance), &text)
    }

    /// Removes the record, since nothing of the tree is left.
    pub fn remove(&self, servers_dir: &Path) -> io::Result<()> {
        exai_os::private::remove(&path(servers_dir, &self.id, &self.instance))
    }

    /// Reads a record. `InvalidData` for a file that is no record of this schema.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = exai_os::private::read(path, MAX_RECORD_BYTES)?;
        let record: TreeRecord = serde_json::from_slice(&bytes)?;
        if record.schema == SCHEMA {
            return Ok(record);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("has schema {}", record.schema)))
    }
}
