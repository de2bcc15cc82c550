//! The pipe on which a daemon says how its start went.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

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
