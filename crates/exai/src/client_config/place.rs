//! Where a file of a client is, behind the links that lead to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The most links that are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// The file that a path leads to, whether or not it exists: a link may lead to a file that is still to come.
pub(super) fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&place) {
            Ok(facts) if facts.is_symlink() => {
                let target = fs::read_link(&place)?;
                place = place.parent().unwrap_or(&place).join(target);
            }
            Ok(_) => return Ok(place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("its links lead to no end"))
}

/// The directories on the way to the file behind a path that do not exist, the innermost first.
pub(super) fn find_missing_directories(path: &Path) -> Vec<PathBuf> {
    let Ok(place) = follow_links(path) else { return Vec::new() };
    let above = place.ancestors().skip(1).filter(|directory| !directory.as_os_str().is_empty());
    above.take_while(|directory| !directory.exists()).map(Path::to_owned).collect()
}

/// Removes those of these directories that are empty. Returns the others.
pub(super) fn remove_empty_directories(mut directories: Vec<PathBuf>) -> Vec<PathBuf> {
    directories.sort_by_key(|directory| std::cmp::Reverse(directory.components().count()));
    directories.retain(|directory| fs::remove_dir(directory).is_err());
    directories
}

/// Refuses to change a file that its user has made read-only, unless that is wanted.
pub(crate) fn refuse_if_protected(path: &Path, force: bool) -> Result<(), Error> {
    if force || !fs::metadata(path).is_ok_and(|facts| facts.permissions().readonly()) {
        return Ok(());
    }
    Err(Error::refused(format!("{} is read-only; it was left as it is", path.display()))
        .hint("make it writable, or write all the same with `--force`"))
}
