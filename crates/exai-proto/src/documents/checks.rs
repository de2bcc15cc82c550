//! What `exai cleanup`, `exai doctor` and `exai selftest` found.

use serde::{Deserialize, Serialize};

/// `exai cleanup --json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cleanup {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// Whether anything was ended or removed; a dry run does neither.
    pub applied: bool,
    /// Everything that was left behind, and what is or was done about it.
    pub found: Vec<Found>,
    /// Resident memory of the processes that were ended; of a dry run 0.
    pub freed_bytes: u64,
}

/// One thing that was left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Found {
    /// A process.
    Process {
        /// Its process id.
        pid: u32,
        /// Its short name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The instance it belonged to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// What proves that it is ours; with `kill`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<String>,
        /// Why it is left alone; with `leave`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Its resident memory.
        #[serde(default)]
        rss_bytes: u64,
        /// What is to be done about it.
        action: Action,
        /// What became of it; only of a run that applied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<String>,
    },
    /// A file.
    File {
        /// Where it is.
        path: String,
        /// What it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What is to be done about it.
        action: Action,
        /// What became of it; only of a run that applied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<String>,
    },
}

/// What is to be done about something left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End the process.
    Kill,
    /// Remove the file.
    Remove,
    /// Leave it alone: it could not be proven to be ours.
    Leave,
}

/// `exai doctor --json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Doctor {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// Whether no check warns or fails.
    pub ok: bool,
    /// The checks, in the order they were made.
    pub checks: Vec<Check>,
}

/// One check of `exai doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable name; docs/troubleshooting.md has a section for each.
    pub id: String,
    /// How it went.
    pub status: CheckStatus,
    /// What was found, as a sentence.
    pub detail: String,
    /// The command or the change that puts it right.
    pub fix: Option<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Pass,
    /// It works, and something should be known.
    Warn,
    /// It does not work.
    Fail,
    /// It could not be looked at, or does not apply here.
    Skip,
}

/// `exai selftest --json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SelfTest {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// Whether every case passed.
    pub ok: bool,
    /// The cases, in the order they ran.
    pub cases: Vec<Case>,
}

/// One case of `exai selftest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// A stable name.
    pub id: String,
    /// Whether it passed.
    pub ok: bool,
    /// What was seen, with the figures.
    pub detail: String,
}
