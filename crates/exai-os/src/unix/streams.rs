use std::io;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::streams::Which;

/// Waits until the stream is ready, or at its end.
pub(crate) fn wait(which: Which) -> io::Result<()> {
    let (fd, flags) = match which {
        Which::Input => (rustix::stdio::stdin(), PollFlags::IN),
        Which::Output => (rustix::stdio::stdout(), PollFlags::OUT),
        Which::Errors => (rustix::stdio::stderr(), PollFlags::OUT),
    };
    match rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, flags)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
