//! The directories of unpacked bundles in the state directory: `bundles/NAME-HASH`, each whole or not there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use exai_config::{Config, Home, ServerConfig};
use exai_os::private;
use tempfile::TempDir;

use crate::limits::ABANDONED_BUNDLE_AGE;

/// How the name of a directory begins that is no bundle yet, or no longer.
const UNFINISHED: &str = ".unfinished-";

/// A bundle that is being unpacked, next to where it belongs. Dropping it removes what was written.
pub(crate) struct Unpacking(TempDir);

impl Unpacking {
    pub(crate) fn begin(home: &Home) -> io::Result<Self> {
        let bundles = home.bundles_dir();
        private::ensure_dir(&bundles).map_err(io::Error::other)?;
        let directory = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(bundles)?;
        private::ensure_dir(directory.path()).map_err(io::Error::other)?;
        Ok(Unpacking(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts the bundle where it belongs, in one step.
    pub(crate) fn finish(self, directory: &Path) -> io::Result<()> {
        match fs::rename(self.0.path(), directory) {
            // Another exai was faster with the same bundle.
            Err(_) if directory.is_dir() => Ok(()),
            result => result,
        }
    }
}

/// Removes what exai was unpacking or removing when it was ended.
pub(crate) fn clear_abandoned(home: &Home) {
    let Ok(entries) = fs::read_dir(home.bundles_dir()) else { return };
    for entry in entries.flatten() {
        let is_old = || {
            let changed = entry.metadata().and_then(|facts| facts.modified()).ok();
            let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
            age.is_some_and(|age| age > ABANDONED_BUNDLE_AGE)
        };
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && is_old() {
            // The next bundle tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The bundles whose files a server uses.
pub(crate) fn used_by(server: &ServerConfig, home: &Home) -> BTreeSet<PathBuf> {
    let bundles = home.bundles_dir();
    let Some(root) = bundles.to_str() else { return BTreeSet::new() };
    let in_text = |text: &str| {
        let pieces = text.split(root).skip(1);
        let names = pieces.filter_map(|rest| {
            let name = rest.strip_prefix(['/', '\\'])?.split(['/', '\\']).next()?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let end = name.find(|c| !is_name(c)).unwrap_or(name.len());
            name.get(..end).filter(|name| !name.is_empty())
        });
        names.map(|name| bundles.join(name)).collect::<Vec<_>>()
    };
    server.texts().flat_map(in_text).collect()
}

/// Those of some bundles that no server uses any more.
pub(crate) fn find_unused(used_before: BTreeSet<PathBuf>, config: &Config, home: &Home) -> Vec<PathBuf> {
    let servers = config.servers.names().filter_map(|name| config.servers.get(name));
    let used: BTreeSet<PathBuf> = servers.flat_map(|server| used_by(server, home)).collect();
    used_before.into_iter().filter(|directory| !used.contains(directory) && directory.is_dir()).collect()
}

/// Removes a bundle. It is no bundle any more from the first step on.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    let bundles = directory.parent().unwrap_or(directory);
    let doomed = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(bundles)?;
    // Within a new directory, so that the name is free.
    fs::rename(directory, doomed.path().join("bundle"))?;
    doomed.close()
}
