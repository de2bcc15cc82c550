//! A damaged database is put aside, and the next use begins a new one.

use std::fs;
use std::io;
use std::path::PathBuf;

use exai_os::inspect;
use exai_os::private;

use super::bounds::MAX_SET_ASIDE;
use super::database::{COMPANIONS, beside};
use super::error::ThreadError;
use super::failure::explain_io;
use super::store::ThreadStore;

/// What [`ThreadStore::reset`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where the database is now.
    pub to: PathBuf,
    /// Databases put aside before that were removed, since only the newest few are kept.
    pub removed: Vec<PathBuf>,
}

impl ThreadStore {
    /// Puts the database aside, as `backups/exai.N.db`. `None` if there is none. Other processes that use it go on with the
    /// new one; what they are writing at this moment is in the old one.
    pub fn reset(&self) -> Result<Option<SetAside>, ThreadError> {
        let home = self.database.home();
        let path = home.database();
        let is_there =
            || !matches!(inspect::entry(&path), Err(error) if error.kind() == io::ErrorKind::NotFound);
        if !is_there() {
            return Ok(None);
        }
        let _lock = self.database.lock()?;
        // Another process may have been faster.
        if !is_there() {
            return Ok(None);
        }
        self.database.close();
        let failed = |error: io::Error| explain_io(&path, &error);
        private::ensure_dir(&home.backups_dir()).map_err(exai_config::HomeError::from)?;
        let mut known = self.list_set_aside();
        let number = known.first().map_or(1, |(number, _)| number.saturating_add(1));
        let to = home.backups_dir().join(format!("exai.{number}.db"));
        fs::rename(&path, &to).map_err(failed)?;
        for companion in COMPANIONS {
            match fs::rename(beside(&path, companion), beside(&to, companion)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        let mut removed = Vec::new();
        for (_, old) in known.split_off(known.len().min(MAX_SET_ASIDE - 1)) {
            for companion in COMPANIONS {
                private::remove(&beside(&old, companion)).map_err(failed)?;
            }
            private::remove(&old).map_err(failed)?;
            removed.push(old);
        }
        Ok(Some(SetAside { to, removed }))
    }

    /// Number and place of each database that was put aside, the newest first.
    fn list_set_aside(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(self.database.home().backups_dir()).into_iter().flatten().flatten();
        let number = |path: PathBuf| {
            let name = path.file_name()?.to_str()?;
            let number = name.strip_prefix("exai.")?.strip_suffix(".db")?.parse().ok()?;
            Some((number, path))
        };
        let mut found: Vec<(u64, PathBuf)> = entries.filter_map(|entry| number(entry.path())).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found
    }
}
