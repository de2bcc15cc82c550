//! The events of a job, and what is noted about its tree.

use std::sync::{Arc, Mutex, PoisonError};

use exai_os::process::Identity;
use exai_os::tree::RootExit;

use crate::lines::Line;
use crate::turns::Turn;

/// What the stdio of a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdioUse {
    /// The server is reached over it: stdout is passed on line by line, and its end ends the job.
    Stdio,
    /// The server is reached in another way. Its stdout goes where stderr goes. It may close its stdio, and processes
    /// that it started may outlive it.
    Elsewhere,
}

/// What happens to a job.
#[derive(Debug)]
pub enum JobEvent {
    /// The job wrote these lines to stdout. More is read once the turn is dropped.
    Lines(Vec<Line>, Turn),
    /// The job is gone; no other event follows.
    Ended(Ended),
}

/// How a job ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// A fragment that reads after "the server": "exited with status 1".
    pub reason: String,
    /// How its first process ended, if that was seen.
    pub exit: Option<RootExit>,
    /// The last lines of its stderr.
    pub stderr_tail: String,
    /// Processes of its tree that could not be ended.
    pub left: Vec<u32>,
}

/// The members of the tree that were seen last. They are needed if the guard is killed.
#[derive(Debug, Clone, Default)]
pub struct SeenMembers(Arc<Mutex<Vec<Identity>>>);

impl SeenMembers {
    /// Replaces the members that were seen before.
    pub fn note(&self, members: Vec<Identity>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// The members that were seen last.
    pub fn members(&self) -> Vec<Identity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
