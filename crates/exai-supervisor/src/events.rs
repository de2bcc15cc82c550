//! What a job tells about itself, and what it is told about its tree.

use std::sync::{Arc, Mutex, PoisonError};

use exai_os::process::Identity;

use crate::lines::Line;
use crate::turns::Turn;

/// What the stdio of a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdioUse {
    /// It is spoken to over it: stdout is passed on line by line, and its end is the job's.
    Stdio,
    /// It is spoken to in another way. What it writes to stdout goes where stderr goes; it may close it, and
    /// what it started may outlive it.
    Elsewhere,
}

/// What happens to a job.
#[derive(Debug)]
pub enum JobEvent {
    /// It wrote these lines to stdout. It is read on once its turn was dropped.
    Lines(Vec<Line>, Turn),
    /// It is gone; no other event follows.
    Ended(Ended),
}

/// How a job ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// A fragment that reads after "the server": "exited with status 1".
    pub reason: String,
    /// The last lines of its stderr.
    pub stderr_tail: String,
    /// Processes of its tree that could not be ended.
    pub left: Vec<u32>,
}

/// What was seen the last time somebody looked at the tree: should the guard be killed, it is needed.
#[derive(Debug, Clone, Default)]
pub struct SeenMembers(Arc<Mutex<Vec<Identity>>>);

impl SeenMembers {
    /// Replaces what was seen before.
    pub fn note(&self, members: Vec<Identity>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// What was seen.
    pub fn members(&self) -> Vec<Identity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
