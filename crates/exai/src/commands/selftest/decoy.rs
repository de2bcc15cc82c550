//! A process that looks like ours and must be left alone.

use std::process::{Child, Command, Stdio};

use exai_os::process::{self, Identity};
use exai_supervisor::leftovers;

use super::bench::Bench;

/// The program and the arguments of a hosted server, not started by a daemon. Dropping it ends the process.
pub(super) struct Decoy {
    child: Child,
    pub(super) identity: Identity,
}

impl Decoy {
    /// With `mark`, its environment names a tree of a daemon.
    pub(super) fn start(bench: &Bench, mark: Option<&str>) -> Result<Self, String> {
        let mut command = Command::new(&bench.exe);
        command.arg("selftest-server").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs(mark.map(|mark| (leftovers::ENV_MARKER, mark)));
        let mut child = command.spawn().map_err(|error| format!("cannot start a decoy: {error}"))?;
        match process::identify(child.id()) {
            Ok(Some(identity)) => Ok(Decoy { child, identity }),
            other => {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("cannot identify a decoy: {other:?}"))
            }
        }
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
