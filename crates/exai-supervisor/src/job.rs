//! The handle of a child process tree.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::lines::Line;
use crate::outbox::{Outbox, Unsent, outbox};
use crate::tail::Tail;
use crate::task;

/// What to run.
#[derive(Clone)]
pub struct Spec {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// The file its stderr is appended to.
    pub log: PathBuf,
    /// The longest line it may write to stdout, in bytes.
    pub line_limit: usize,
    /// How many bytes may wait to be written to its stdin.
    pub queue_limit: usize,
}

/// What happens to a job.
#[derive(Debug)]
pub enum JobEvent {
    /// It wrote these lines to stdout.
    Lines(Vec<Line>),
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
}

/// A running process tree. Dropping it stops the tree.
#[derive(Debug)]
pub struct Job {
    pid: u32,
    stdin: Outbox,
    stop: watch::Sender<bool>,
    tail: Tail,
}

impl Job {
    /// The process that was spawned: the root of the tree.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Queues one line for stdin; the line feed is added. `Closed` means that the job is ending: it was
    /// stopped, or closed its stdin; [`JobEvent::Ended`] follows within seconds.
    pub fn send(&self, line: Bytes) -> Result<(), Unsent> {
        self.stdin.push(line)
    }

    /// How many bytes wait for stdin.
    pub fn queued(&self) -> usize {
        self.stdin.queued()
    }

    /// Begins the stop ladder. [`JobEvent::Ended`] says when it is done.
    pub fn stop(&self) {
        // In this order: a queue that closes before is one that the server has stopped reading.
        self.stop.send_replace(true);
        self.stdin.close();
    }

    /// The last lines of stderr so far.
    pub fn stderr_tail(&self) -> String {
        self.tail.text()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Spawns the program. What happens to it is sent to `events` under `tag`. Its tasks are spawned on
/// `tasks`; they end with the process tree.
///
/// Blocks for the time of a fork and exec; needs a tokio runtime around it.
pub fn start<T: Copy + Send + 'static>(
    spec: &Spec,
    tag: T,
    events: mpsc::Sender<(T, JobEvent)>,
    tasks: &TaskTracker,
) -> io::Result<Job> {
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&spec.cwd)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    exai_os::child::prepare(&mut command);
    let log = crate::log::Log::open(spec.log.clone())?;
    let mut child = command.spawn()?;
    exai_os::child::widen_pipes(&child);
    let pid = child.id().ok_or_else(|| io::Error::other("BUG: a child just spawned has no pid"))?;
    let piped = "BUG: a standard stream was asked to be a pipe and is none";
    let stdin = child.stdin.take().expect(piped);
    let stdout = child.stdout.take().expect(piped);
    let stderr = child.stderr.take().expect(piped);
    let (queue, drain) = outbox(spec.queue_limit);
    let (stop, stopped) = watch::channel(false);
    let tail = Tail::default();
    let writer = tasks.spawn(task::write(stdin, drain));
    let errors = tasks.spawn(task::log(stderr, tail.clone(), log));
    let heard = Arc::default();
    let lines = task::read(stdout, spec.line_limit, tag, events.clone(), Arc::clone(&heard));
    let end = task::End { child, stdin: queue.clone(), writer, errors, heard, stopped, tail: tail.clone() };
    tasks.spawn(async move {
        let ended = end.run(lines).await;
        // The receiver is gone only when the whole daemon is.
        let _ = events.send((tag, JobEvent::Ended(ended))).await;
    });
    Ok(Job { pid, stdin: queue, stop, tail })
}
