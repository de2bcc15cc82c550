//! Ends what an earlier daemon left behind before a second copy of it could be started.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::limits::{PREDECESSOR_END_TIMEOUT, STARTUP_CLEANUP_TIMEOUT};
use exai_os::process::{self, Identity};
use exai_supervisor::leftovers::{
    self, CleanupOutcome, LeftFile, LeftTree, Leftovers, Living, Predecessor, Verdict,
};
use tokio::sync::watch;

/// Tells when the cleanup is done.
#[derive(Debug, Clone)]
pub(crate) struct StartupCleanup {
    done: watch::Receiver<bool>,
}

impl StartupCleanup {
    /// Begins the cleanup in the background. Only for the holder of the instance lock: every other daemon has ended then.
    pub(crate) fn begin(servers_dir: PathBuf, daemon: Living, last: Option<Predecessor>) -> Self {
        let (sender, done) = watch::channel(false);
        // Not among the daemon's tasks: a process that cannot be ended must not keep the daemon from ending.
        tokio::task::spawn_blocking(move || {
            match find(&servers_dir, &daemon, last.as_ref()) {
                Ok(mut found) => {
                    leftovers::end(&mut found, Instant::now() + STARTUP_CLEANUP_TIMEOUT);
                    log_leftovers(&found);
                }
                Err(error) => {
                    tracing::warn!(%error, "what an earlier daemon may have left behind could not be looked at");
                }
            }
            sender.send_replace(true);
        });
        StartupCleanup { done }
    }

    /// Returns when everything that can be ended has ended, or when the time is over.
    pub(crate) async fn done(&self) {
        let mut done = self.done.clone();
        // A thread that panicked has nothing more to wait for.
        let _ = done.wait_for(|done| *done).await;
    }
}

/// Finds what is left. The last holder of the lock may still be ending: its records count once it has ended. If it does not
/// end, its records are left alone.
fn find(servers_dir: &Path, daemon: &Living, last: Option<&Predecessor>) -> io::Result<Leftovers> {
    let found = leftovers::find(servers_dir, Some(daemon), last)?;
    let lives = |one: &&Identity| process::identify(one.pid).ok().flatten().as_ref() == Some(*one);
    let last_lives = last.map(|last| &last.identity).filter(lives);
    if found.others.is_empty() && last_lives.is_none() {
        return Ok(found);
    }
    let until = Instant::now() + PREDECESSOR_END_TIMEOUT;
    for other in found.others.iter().chain(last_lives) {
        // A process that cannot be looked at is treated like one that does not end.
        if !process::wait_gone(other, until).unwrap_or(false) {
            tracing::warn!(
                pid = other.pid,
                "another daemon's process lives; the records of its servers were passed over"
            );
        }
    }
    leftovers::find(servers_dir, Some(daemon), last)
}

/// Logs one line for each thing that was ended or left.
fn log_leftovers(found: &Leftovers) {
    found.trees.iter().for_each(tell_tree);
    found.files.iter().for_each(tell_file);
}

fn tell_tree(tree: &LeftTree) {
    for process in &tree.processes {
        let (pid, name, of) = (process.identity.pid, &process.name, &tree.record.id);
        match (&process.verdict, &process.outcome) {
            (Verdict::Ours { proof }, Some(CleanupOutcome::Ended)) => {
                tracing::info!(pid, name, of, proof, "ended a process that an earlier daemon left behind");
            }
            (_, Some(CleanupOutcome::Left { reason })) => {
                tracing::warn!(pid, name, of, reason, "left a process alone; `exai cleanup` shows it");
            }
            (_, Some(CleanupOutcome::Ended | CleanupOutcome::Gone | CleanupOutcome::Removed) | None) => {}
        }
    }
    tree.file.iter().for_each(tell_file);
}

fn tell_file(file: &LeftFile) {
    let path = file.path.display();
    match &file.outcome {
        Some(CleanupOutcome::Removed) => tracing::info!(%path, reason = file.reason, "removed a file"),
        Some(CleanupOutcome::Left { reason }) => {
            tracing::warn!(%path, reason, "left a file alone; `exai cleanup` shows it");
        }
        Some(CleanupOutcome::Ended | CleanupOutcome::Gone) | None => {}
    }
}
