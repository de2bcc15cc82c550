//! `cargo xtask tidy`

mod code;
mod edges;
mod places;
mod platform;
mod references;
mod rooms;
mod sizes;
mod source;

use crate::process::Outcome;
use source::count;

pub(crate) const HELP: &str = "\
usage: cargo xtask tidy

The rules no compiler checks:
  - which crate may depend on which, and on what from outside (xtask/src/tidy/edges.rs)
  - no files that import each other in a circle, and no import that runs against the order of folders
    (xtask/src/tidy/rooms.rs)
  - every source file and every test that a document names exists
  - every crate inherits the lints of the workspace
  - unsafe code and platform conditionals in exai-os alone; printing and exiting in exai alone
  - no path of one machine and no address of a package registry in a tracked file
  - no file has more than 500 lines, but for tests, which are only reported";

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err("takes no arguments".to_owned());
    }
    let sources = source::sources()?;
    let mut problems = edges::check()?;
    problems.extend(platform::check(&sources));
    problems.extend(places::check(&sources));
    problems.extend(rooms::check(&sources));
    problems.extend(references::check(&sources));
    problems.extend(sizes::check(&sources));
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("      {problem}");
    }
    Err(format!("{} found, see above", count(problems.len(), "problem")))
}
