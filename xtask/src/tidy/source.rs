//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{process, project};

/// A file of the project, and its text.
pub(crate) struct Source {
    /// The path relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

/// Every text file that git knows or would add, so that a new file is checked before it is committed.
pub(super) fn sources() -> Result<Vec<Source>, String> {
    let root = project::root();
    let mut git = Command::new("git");
    git.current_dir(&root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = process::output(&mut git)?;
    // A file that is gone or that is no text cannot break a rule.
    let read =
        |path: &str| Some(Source { path: path.to_owned(), text: fs::read_to_string(root.join(path)).ok()? });
    Ok(list.lines().filter_map(read).collect())
}

/// A path of a manifest, relative to the root of the project.
pub(crate) fn relative(path: &str) -> String {
    let path = PathBuf::from(path);
    path.strip_prefix(project::root()).unwrap_or(&path).to_string_lossy().replace('\\', "/")
}

/// A number with its noun: `1 problem`, `2 problems`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
