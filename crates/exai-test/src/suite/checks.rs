//! The suite as a program, and the checks that it writes down.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::peers;

/// How many characters of each complaint are shown: some hold whole messages.
const LONGEST_REASON: usize = 300;

/// The suite, which writes what it has seen into folders in `dir`.
pub(super) fn suite(role: &str, dir: &Path) -> Command {
    let mut command = peers::node("@modelcontextprotocol/conformance/dist/index.js");
    command.args([role, "-o"]).arg(dir).stdin(Stdio::null());
    command
}

/// The folder of a scenario. Its name is followed by the time.
pub(super) fn folder_of(dir: &Path, scenario: &str) -> Option<PathBuf> {
    // The scenario may have a slash in its name, and the times begin with the year.
    let start = dir.join(format!("{scenario}-2"));
    let name = start.file_name()?.to_string_lossy().into_owned();
    let begins = |path: &PathBuf| {
        path.file_name().map(OsStr::to_string_lossy).is_some_and(|file| file.starts_with(&name))
    };
    start.parent()?.read_dir().ok()?.flatten().map(|entry| entry.path()).find(begins)
}

/// The checks of a scenario; none if it was not judged.
pub(super) fn read_checks(folder: &Path) -> Vec<Value> {
    let text = fs::read(folder.join("checks.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// What was wrong.
pub(super) fn complaints(checks: &[Value]) -> String {
    let is_wrong = |check: &&Value| check["status"] == "FAILURE" || check["status"] == "WARNING";
    let complaint = |check: &Value| {
        let why = check["errorMessage"].as_str().or_else(|| check["description"].as_str()).unwrap_or("?");
        format!("{} ({})", check["id"].as_str().unwrap_or("?"), shortened(why))
    };
    checks.iter().filter(is_wrong).map(complaint).collect::<Vec<_>>().join("; ")
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}
