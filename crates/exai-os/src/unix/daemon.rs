//! A daemon that is to be started, and the pipe on which it says how that went.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use serde::{Deserialize, Serialize};

/// What to start, as it is described to the process that starts it in our place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DaemonCommand {
    pub(super) exe: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    pub(super) log: PathBuf,
}

#[derive(Debug)]
pub(crate) struct ReadinessPipe(OwnedFd);

impl ReadinessPipe {
    pub(super) fn new(end: OwnedFd) -> ReadinessPipe {
        ReadinessPipe(end)
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut *buffer))?)
    }

    pub(crate) fn read_until(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        // A closed pipe is ready, too: reading it shows its end.
        let mut wait = [PollFd::new(&self.0, PollFlags::IN)];
        if super::descriptors::poll_until(&mut wait, deadline)? {
            return self.read(buffer);
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the daemon did not say whether it is ready"))
    }
}
