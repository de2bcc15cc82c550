//! The last captured environment, kept in the account's cache directory (0600).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::account::entry::Account;
use crate::{private, sys};

/// Start files may read files that the stamp does not know.
const MAX_AGE: Duration = Duration::from_hours(24);
const MAX_BYTES: u64 = 4 << 20;
const SCHEMA: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    /// Seconds since 1970.
    captured_at: u64,
    stamp: Vec<String>,
    vars: Vec<(String, String)>,
}

/// `None` where asking the system is as fast as reading a file (Windows).
pub(crate) fn path(account: &Account) -> Option<PathBuf> {
    sys::environment::cache_directory(account).map(|directory| directory.join("environment.json"))
}

/// What the cached answer depends on: the shell, and each start file's size and time of change.
pub(crate) fn stamp(account: &Account) -> Vec<String> {
    let mut stamp = vec![format!("{} {}", account.name, account.shell.display())];
    for file in sys::environment::start_files(account) {
        if let Ok(metadata) = std::fs::metadata(&file) {
            let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let nanos = modified.unwrap_or_default().as_nanos();
            stamp.push(format!("{} {} {nanos}", file.display(), metadata.len()));
        }
    }
    stamp
}

/// The cached variables and their age, if they are still valid. An unexpected content counts as no cache.
pub(crate) fn load(account: &Account) -> Option<(Vec<(OsString, OsString)>, Duration)> {
    let bytes = private::read(&path(account)?, MAX_BYTES).ok()?;
    let document: Document = serde_json::from_slice(&bytes).ok()?;
    // A clock that was set back makes the age negative: not valid either.
    let age = now().checked_sub(document.captured_at)?;
    let valid = document.schema == SCHEMA && age < MAX_AGE.as_secs() && document.stamp == stamp(account);
    let vars = || document.vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    valid.then(|| (vars(), Duration::from_secs(age)))
}

/// Keeps the variables. The cache only saves time, so errors are ignored. So is an environment with values that are
/// no text, which this format cannot hold.
pub(crate) fn store(account: &Account, stamp: &[String], vars: &[(OsString, OsString)]) {
    let text = |value: &OsString| value.to_str().map(str::to_owned);
    let vars: Option<Vec<_>> = vars.iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect();
    let (Some(vars), Some(path)) = (vars, path(account)) else { return };
    let document = Document { schema: SCHEMA, captured_at: now(), stamp: stamp.to_vec(), vars };
    if path.parent().is_some_and(|directory| private::ensure_dir(directory).is_ok())
        && let Ok(bytes) = serde_json::to_vec(&document)
    {
        let _ = private::write_atomic(&path, &bytes);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
