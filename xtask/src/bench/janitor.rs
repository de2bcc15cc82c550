//! A separate process that cleans up when this one ends, even when this one is interrupted or killed: daemons are
//! detached, and would go on running.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::instance;
use crate::process::Outcome;

/// The first argument of the janitor, before the folder and the program. People do not use it.
pub(crate) const ARGUMENT: &str = "--clean-up";

/// The running janitor. Dropping it makes it clean up, and waits until it has.
pub(crate) struct Janitor(Child);

impl Janitor {
    pub(crate) fn start(folder: &Path, exai: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the process that cleans up does not start: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["bench", ARGUMENT]).arg(folder).arg(exai);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // In a process group of its own, the janitor does not get the signal of a key that interrupts the bench.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map(Janitor).map_err(failed)
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        // `wait` closes the stdin of the janitor first.
        let _ = self.0.wait();
    }
}

/// The work of the janitor: it waits until no process holds its stdin open, stops the daemons in the directories of
/// `folder`, and removes the folder.
pub(crate) fn work(folder: &str, exai: &str) -> Outcome {
    let failed = |error: io::Error| format!("{folder} cannot be cleaned up: {error}");
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(failed)?;
    let homes = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let stopped: Vec<Outcome> =
        homes.iter().map(|home| instance::stop(exai.as_ref(), &home.path())).collect();
    std::fs::remove_dir_all(folder).map_err(failed)?;
    stopped.into_iter().collect()
}
