//! `cargo xtask tidy`

mod code;
mod edges;
mod places;
mod platform;
mod rooms;
mod sizes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, process, project};

pub(crate) const HELP: &str = "\
usage: cargo xtask tidy

The rules no compiler checks:
  - which crate may depend on which, and on what from outside (xtask/src/tidy/edges.rs)
  - no files that import each other in a circle, and no import that runs against the order of folders
    (xtask/src/tidy/rooms.rs)
  - every crate inherits the lints of the workspace
  - unsafe code and platform conditionals in exai-os alone; printing and exiting in exai alone
  - no path of one machine and no address of a package registry in a tracked file
Then reports the files that are longer than they should be; that never fails.";

/// A tracked file of the project, and its text.
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err("takes no arguments".to_owned());
    }
    let sources = sources()?;
    let mut problems = edges::check()?;
    problems.extend(platform::check(&sources));
    problems.extend(places::check(&sources));
    problems.extend(rooms::check(&sources));
    sizes::report(&sources);
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("      {problem}");
    }
    Err(format!("{} found, see above", count(problems.len(), "problem")))
}

/// Every text file git knows or would add: a new file is checked before it is committed.
fn sources() -> Result<Vec<Source>, String> {
    let root = project::root();
    let mut git = Command::new("git");
    git.current_dir(&root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = process::output(&mut git)?;
    // A file that is gone or is not text has no rules to break.
    let read =
        |path: &str| Some(Source { path: path.to_owned(), text: fs::read_to_string(root.join(path)).ok()? });
    Ok(list.lines().filter_map(read).collect())
}

/// A path of a manifest, relative to the root.
pub(crate) fn relative(path: &str) -> String {
    let path = PathBuf::from(path);
    path.strip_prefix(project::root()).unwrap_or(&path).to_string_lossy().replace('\\', "/")
}

/// `1 problem`, `2 problems`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
