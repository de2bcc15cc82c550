//! Waiting for the ends of children. Never run.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

/// How often a guard looks whether a child has ended.
const CHILD_INTERVAL: Duration = Duration::from_millis(100);

/// Looks ten times a second whether a child has ended.
pub(super) struct ChildExits;

impl ChildExits {
    #[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
    pub(super) fn watch() -> io::Result<Self> {
        Ok(ChildExits)
    }

    #[expect(clippy::unused_self, reason = "its twin has something to wait for")]
    pub(super) fn or_words(&self, control: &UnixStream) -> io::Result<bool> {
        let mut fds = [PollFd::new(control, PollFlags::IN)];
        super::descriptors::poll_until(&mut fds, Instant::now() + CHILD_INTERVAL)
    }

    #[expect(clippy::unused_self, reason = "its twin has something to wait for")]
    pub(super) fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
