//! A process of its own that cleans up when this one ends, also when it is interrupted or killed: daemons
//! are detached and would stay.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::instance;
use crate::process::Outcome;

/// The first argument of the janitor, before the folder and the program; not for people.
pub(crate) const ARGUMENT: &str = "--clean-up";

/// Ends, and has cleaned up, when it is dropped.
pub(crate) struct Janitor(Child);

impl Janitor {
    pub(crate) fn start(folder: &Path, exai: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the process that cleans up does not start: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["bench", ARGUMENT]).arg(folder).arg(exai);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // What is typed to interrupt the bench does not reach another process group.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map(Janitor).map_err(failed)
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // Closes its stdin first.
        let _ = self.0.wait();
    }
}

/// What the janitor does: it waits until nobody holds its stdin, stops what runs in the directories of
/// `folder`, and removes it.
pub(crate) fn work(folder: &str, exai: &str) -> Outcome {
    let failed = |error: io::Error| format!("{folder} cannot be cleaned up: {error}");
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(failed)?;
    let homes = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let stopped: Vec<Outcome> =
        homes.iter().map(|home| instance::stop(exai.as_ref(), &home.path())).collect();
    std::fs::remove_dir_all(folder).map_err(failed)?;
    stopped.into_iter().collect()
}
