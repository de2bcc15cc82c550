//! Files of dead daemons in the state directory itself.

use std::io;

use exai_config::Home;
use exai_os::local::Endpoint;
use exai_os::lock::{self, Claim};
use exai_os::ownership::file_is_ours;
use exai_supervisor::leftovers::{self, CleanupOutcome, LeftFile};

/// What was found.
pub(super) struct StateFiles {
    /// Whether a living daemon needs it. May be touched only while no daemon lives.
    of_a_daemon: Vec<LeftFile>,
    temporary: Vec<LeftFile>,
}

impl StateFiles {
    pub(super) fn all(&self) -> Vec<&LeftFile> {
        self.of_a_daemon.iter().chain(&self.temporary).collect()
    }
}

/// Searches and changes nothing. While a daemon lives, these files are its own.
pub(super) fn find(home: &Home, a_daemon_lives: bool) -> io::Result<StateFiles> {
    let mut of_a_daemon = Vec::new();
    if !a_daemon_lives {
        of_a_daemon.extend(record(home));
        let sockets = Endpoint::sockets(home.path())?;
        of_a_daemon.extend(sockets.into_iter().map(|path| LeftFile {
            path,
            reason: "the socket of a daemon that died".to_owned(),
            removable: true,
            outcome: None,
        }));
    }
    Ok(StateFiles { of_a_daemon, temporary: leftovers::temporaries(home.path())? })
}

fn record(home: &Home) -> Option<LeftFile> {
    let path = home.daemon_record();
    let found = std::fs::symlink_metadata(&path).ok()?;
    let safe = found.is_file() && file_is_ours(&path).unwrap_or(false);
    let reason = if safe {
        "the record of a daemon that died"
    } else {
        "is in the place of the daemon's record and is no file of ours"
    };
    Some(LeftFile { path, reason: reason.to_owned(), removable: safe, outcome: None })
}

/// Removes the files that may be removed, and notes the outcome of each.
pub(super) fn remove(home: &Home, files: &mut StateFiles) {
    files.temporary.iter_mut().for_each(leftovers::remove);
    if files.of_a_daemon.is_empty() {
        return;
    }
    match alone(home) {
        Ok(_held) => files.of_a_daemon.iter_mut().for_each(leftovers::remove),
        Err(reason) => {
            for file in &mut files.of_a_daemon {
                file.outcome = Some(CleanupOutcome::Left { reason: reason.clone() });
            }
        }
    }
}

/// Both authorities of a daemon, held for a moment: while they are held no daemon lives, and none can start. (A
/// daemon that tries waits for longer than this moment.) The name is given back first, since a daemon that gets the
/// lock must not find the name taken.
fn alone(home: &Home) -> Result<(Claim, lock::HeldLock), String> {
    let error = |error: io::Error| format!("it is not known whether a daemon lives: {error}");
    let lock = lock::try_lock(&home.instance_lock()).map_err(error)?;
    let lock = lock.ok_or_else(|| "a daemon has started meanwhile".to_owned())?;
    match lock::claim_name(home.path()).map_err(error)? {
        Claim::TakenByThisUser => {
            Err("a daemon of this directory lives, though its lock file was replaced".to_owned())
        }
        name @ (Claim::Ours(_) | Claim::Unsupported) => Ok((name, lock)),
    }
}
