//! The processes and files that a look for leftovers finds, and what happened to each.

use std::path::PathBuf;

use exai_os::process::Identity;

use crate::record::{TreeRecord, TreeRole};

/// The environment variable in which every process of a server carries the name of its tree.
pub const ENV_MARKER: &str = "EXAI_OWNER";

/// The value of [`ENV_MARKER`] for the tree `id` (`NAME#N`) of the daemon `instance` (its nonce).
pub fn env_marker(instance: &str, id: &str) -> String {
    format!("{instance}.{id}")
}

/// Everything that was left behind.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// The trees of daemons that died.
    pub trees: Vec<LeftTree>,
    /// Files beside their records.
    pub files: Vec<LeftFile>,
    /// Other daemons whose process lives: their records were passed over. A killed daemon gives its locks back a
    /// moment before its process is gone.
    pub others: Vec<Identity>,
    /// The living daemon's process.
    pub(super) spared: Option<u32>,
}

/// The daemon that lives now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Its nonce.
    pub instance: String,
    /// Its process id. A daemon that was started from within a server's tree descends from processes that are ended,
    /// and is spared.
    pub pid: u32,
}

/// The last daemon, as its own record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its nonce.
    pub instance: String,
    /// Its process.
    pub identity: Identity,
}

/// The tree of a daemon that died: its record and its living processes.
#[derive(Debug)]
pub struct LeftTree {
    /// The record.
    pub record: TreeRecord,
    /// The record's file; `None` where it could not be written.
    pub file: Option<LeftFile>,
    /// The living processes that are or may be of the tree.
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
    pub place: Option<TreeRole>,
    /// Its resident memory, when it was seen last.
    pub rss_bytes: u64,
    /// Whether it is ours.
    pub verdict: Verdict,
    /// What happened to it; `None` until [`super::end()`] has decided.
    pub outcome: Option<CleanupOutcome>,
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
    /// What happened to it; `None` until something was tried.
    pub outcome: Option<CleanupOutcome>,
}

/// What happened to a process or file that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleanupOutcome {
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
        processes
            .filter(|process| process.outcome == Some(CleanupOutcome::Ended))
            .map(|process| process.rss_bytes)
            .sum()
    }
}

impl LeftTree {
    /// The living guard of the tree: it ends the tree by itself if it is given the time.
    pub fn guard(&self) -> Option<&LeftProcess> {
        self.processes.iter().find(|process| process.is_ours() && process.place == Some(TreeRole::Guard))
    }
}

impl LeftProcess {
    /// Whether it is proven to be ours.
    pub fn is_ours(&self) -> bool {
        matches!(self.verdict, Verdict::Ours { .. })
    }

    /// Whether the record must stay: the process is or may be of the tree, and stays alive.
    pub(super) fn keeps_the_record(&self) -> bool {
        match self.verdict {
            Verdict::Stranger { .. } => false,
            Verdict::Unproven { .. } => {
                !matches!(self.outcome, Some(CleanupOutcome::Ended | CleanupOutcome::Gone))
            }
            Verdict::Ours { .. } => matches!(self.outcome, Some(CleanupOutcome::Left { .. })),
        }
    }
}
