//! What a dead daemon left behind: found, proven, ended.
//!
//! Guards end the trees of a daemon that dies. Only when daemon and guard die at the same moment is
//! something left, and then the records in `servers/` are all there is to go by.
//!
//! # What proves that a process is ours
//!
//! - **By record**: the kernel gives the living process the identity (boot, pid, start time) that a record
//!   of a dead daemon names.
//! - **By descent**: it is a child, and not older than its parent, of a process that is proven.
//! - **By brand**: it has the tree's brand ([`exai_os::brand`]), which it can only have inherited (Linux).
//! - **By its words**: it runs `exai guard` for exactly this tree.
//!
//! The environment's marker alone proves nothing: a browser that a server opened for its user inherits it.
//! What is not proven is told with the reason and left alone, and so are, whatever a record says, this process
//! and those above it, pid 1, and the processes of other accounts.
//!
//! A tree whose record could not be written, since the disk was full, is found by brand and marker together, where the
//! dead daemon's own record tells its nonce (Linux).
//!
//! A record is removed when everything it names is gone. As long as something lives that may be of its tree
//! and cannot be proven to be, the record stays, so that the next one to look finds it again.

use std::path::{Path, PathBuf};

use exai_os::process::Identity;

use crate::record::{Place, TreeRecord};

mod end;
mod files;
mod prove;
mod table;

pub use end::end;
pub use files::{remove, temporaries};

/// The environment variable in which every process of a server carries the name of its tree.
pub const MARK: &str = "EXAI_OWNER";

/// The value of [`MARK`] for the tree `id` (`NAME#N`) of the daemon `instance` (its nonce).
pub fn mark(instance: &str, id: &str) -> String {
    format!("{instance}.{id}")
}

/// Everything that was left behind.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// The trees of daemons that died.
    pub trees: Vec<LeftTree>,
    /// Files beside their records.
    pub files: Vec<LeftFile>,
    /// Daemons other than the one that runs whose process lives: their records were passed over. One that was
    /// killed gives its locks back a moment before its process is gone.
    pub others: Vec<Identity>,
    /// The living daemon's process.
    spared: Option<u32>,
}

/// The daemon that lives now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Its nonce.
    pub instance: String,
    /// Its process id. A daemon that was started from within a server's tree descends from what is to be
    /// ended, and is spared.
    pub pid: u32,
}

/// The daemon that was the last one, as its own record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its nonce.
    pub instance: String,
    /// Its process.
    pub identity: Identity,
}

/// The tree of a daemon that died: its record, and what still lives.
#[derive(Debug)]
pub struct LeftTree {
    /// The record.
    pub record: TreeRecord,
    /// The record's file; `None` where it could not be written.
    pub file: Option<LeftFile>,
    /// What lives of it, or may.
    pub processes: Vec<LeftProcess>,
}

/// A living process that may be of a tree.
#[derive(Debug, Clone)]
pub struct LeftProcess {
    /// Which process.
    pub identity: Identity,
    /// Its short name.
    pub name: String,
    /// Its place in the tree; `None` where it is not known to have one.
    pub place: Option<Place>,
    /// Its resident memory, when it was seen last.
    pub rss_bytes: u64,
    /// Whether it is ours.
    pub verdict: Verdict,
    /// What became of it; `None` until [`end`] has decided.
    pub fate: Option<Fate>,
}

/// Whether a process is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Ours {
        /// What proves it.
        proof: String,
    },
    /// It is not: another process has the number now.
    Stranger {
        /// How that is known.
        reason: String,
    },
    /// It may be, and is left alone.
    Unproven {
        /// What is missing.
        reason: String,
    },
}

/// A file that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; a fragment such as "the record of everything#1, whose daemon died".
    pub reason: String,
    /// Whether it may be removed.
    pub removable: bool,
    /// What became of it; `None` until something was tried.
    pub fate: Option<Fate>,
}

/// What became of something left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The process was ended, and is proven to be gone.
    Ended,
    /// The process was gone before anything was done: by itself, or by its guard.
    Gone,
    /// The file is removed.
    Removed,
    /// It is still there.
    Left {
        /// Why.
        reason: String,
    },
}

impl Leftovers {
    /// Whether nothing was left behind.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty() && self.files.is_empty()
    }

    /// Resident memory of the processes that were ended, in bytes.
    pub fn freed_bytes(&self) -> u64 {
        let processes = self.trees.iter().flat_map(|tree| &tree.processes);
        processes.filter(|process| process.fate == Some(Fate::Ended)).map(|process| process.rss_bytes).sum()
    }
}

impl LeftTree {
    /// The guard that lives and is at work: it ends the tree by itself, if it is given the time.
    pub fn guard(&self) -> Option<&LeftProcess> {
        self.processes.iter().find(|process| process.is_ours() && process.place == Some(Place::Guard))
    }
}

impl LeftProcess {
    /// Whether it is proven to be ours.
    pub fn is_ours(&self) -> bool {
        matches!(self.verdict, Verdict::Ours { .. })
    }

    /// It belongs to the tree or may, and stays alive: its record must stay, too.
    fn keeps_the_record(&self) -> bool {
        match self.verdict {
            Verdict::Stranger { .. } => false,
            Verdict::Unproven { .. } => !matches!(self.fate, Some(Fate::Ended | Fate::Gone)),
            Verdict::Ours { .. } => matches!(self.fate, Some(Fate::Left { .. })),
        }
    }
}

/// Looks at the records in `servers_dir`, and for what lives of the trees in them. `living` is the
/// daemon that lives now, if one does; its trees are none of our business, and neither are those of any other
/// daemon whose process lives. Of `last`, if that one is dead, trees are looked for that have no record.
///
/// Reads only. An empty or missing directory costs one look at it.
///
/// # Errors
/// The system's, when the directory or the process table cannot be read.
pub fn find(
    servers_dir: &Path,
    living: Option<&Living>,
    last: Option<&Predecessor>,
) -> std::io::Result<Leftovers> {
    let mut found = files::scan(servers_dir, living.map(|daemon| &*daemon.instance))?;
    found.spared = living.map(|daemon| daemon.pid);
    let is_other = |last: &&Predecessor| living.is_none_or(|living| living.instance != last.instance);
    let last = last.filter(is_other).filter(|last| !files::lives(&last.identity));
    if found.trees.is_empty() && last.is_none() {
        return Ok(found);
    }
    let table = table::Table::take(found.spared)?;
    if let Some(last) = last {
        let unrecorded = prove::unrecorded(last, &found.trees, &table);
        found.trees.extend(unrecorded);
    }
    for tree in &mut found.trees {
        prove::look(tree, &table);
        let keeper = tree.processes.iter().find(|process| process.keeps_the_record());
        if let (Some(process), Some(file)) = (keeper, &mut tree.file) {
            file.reason = format!("{}; it stays because of pid {}", file.reason, process.identity.pid);
            file.removable = false;
        }
    }
    Ok(found)
}
