//! The handle of a child process tree.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use exai_os::process::Identity;
use exai_os::tree::{self as contained, Launch, Roster};
use exai_proto::Segments;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

pub use crate::events::{Ended, JobEvent, SeenMembers, StdioUse};
use crate::limits::STOP_GRACE;
use crate::outbox::{Bound, Outbox, Unsent, outbox};
use crate::printed_lines::Printed;
use crate::tail::Tail;
use crate::tree::Pipes;
use crate::{ending, stdio};

/// What to run.
#[derive(Clone)]
pub struct Spec {
    /// The program, its environment and its guard.
    pub launch: Launch,
    /// The file that its stderr is appended to.
    pub log: PathBuf,
    /// What its stdio is for.
    pub stdio_use: StdioUse,
    /// The longest line it may write to stdout, in bytes.
    pub line_limit: usize,
    /// How much may wait to be written to its stdin.
    pub queue_limit: Bound,
}

/// A running process tree. Dropping it stops the tree.
#[derive(Debug)]
pub struct Job {
    root: Identity,
    guard: Option<Identity>,
    roster: Roster,
    pipes: Option<Pipes>,
    seen: SeenMembers,
    stdin: Outbox,
    stop: watch::Sender<Option<Duration>>,
    tail: Tail,
    printed: Printed,
}

impl Job {
    /// The process that was started: the root of the tree.
    pub fn root(&self) -> &Identity {
        &self.root
    }

    /// The process that ends the tree; `None` on Windows.
    pub fn guard(&self) -> Option<&Identity> {
        self.guard.as_ref()
    }

    /// The members of the tree, where the system keeps a list.
    pub fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// The pipes to its stdio; `None` where the system does not tell one pipe from another.
    pub fn pipes(&self) -> Option<Pipes> {
        self.pipes
    }

    /// Where the monitor of the tree notes its members.
    pub fn seen(&self) -> SeenMembers {
        self.seen.clone()
    }

    /// Queues one line for stdin; the line feed is added. `Closed` means that the job is ending: it was stopped, or
    /// it closed its stdin. [`JobEvent::Ended`] follows within seconds.
    pub fn send(&self, line: impl Into<Segments>) -> Result<(), Unsent> {
        self.stdin.push(line)
    }

    /// How many bytes wait for stdin.
    pub fn queued(&self) -> usize {
        self.stdin.queued()
    }

    /// Begins the stop ladder, each step of which has `grace`. [`JobEvent::Ended`] says when it is done.
    pub fn stop(&self, grace: Duration) {
        // In this order: a queue that closes before `stop` is set means that the server has stopped reading.
        self.stop.send_replace(Some(grace));
        self.stdin.close();
    }

    /// Takes a line of stdout that is for people: it goes where stderr goes. Never waits. Of a flood of lines some
    /// are left out, and the log says so.
    pub fn print(&self, line: &Bytes) {
        self.tail.push(line);
        self.printed.line(line);
    }

    /// The last lines of stderr so far, and what was printed.
    pub fn stderr_tail(&self) -> String {
        self.tail.text()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.stop(STOP_GRACE);
    }
}

/// Spawns the program. What happens to it is sent to `events` under `tag`. Its tasks are spawned on
/// `tasks`; they end with the process tree.
///
/// `known` is called with the guard, if any, and the root before the root's program runs; see
/// [`exai_os::tree::start`].
///
/// Blocks for the time of two forks and execs; needs a tokio runtime around it.
pub fn start<T: Copy + Send + 'static>(
    spec: &Spec,
    tag: T,
    events: mpsc::Sender<(T, JobEvent)>,
    tasks: &TaskTracker,
    known: impl FnOnce(Option<&Identity>, &Identity),
) -> io::Result<Job> {
    let log = Arc::new(Mutex::new(crate::log::Log::open(spec.log.clone())?));
    let (tree, stdio) = contained::start(&spec.launch, known)?;
    let (root, guard, roster) = (tree.root().clone(), tree.guard().cloned(), tree.roster());
    let pipes = Pipes::between(&stdio).ok();
    let seen = SeenMembers::default();
    let (queue, drain) = outbox(spec.queue_limit);
    let (stop, stopped) = watch::channel(None);
    let tail = Tail::default();
    let printed = Printed::to(log.clone(), tasks.clone());
    let writer = tasks.spawn(stdio::write(stdio.stdin, drain));
    let errors = tasks.spawn(stdio::log(stdio.stderr, tail.clone(), log.clone()));
    let heard = Arc::default();
    let output = stdio.stdout;
    let (stdio_use, limit) = (spec.stdio_use, spec.line_limit);
    let (lines, of_tail) = ((events.clone(), Arc::clone(&heard)), tail.clone());
    let reading = async move {
        match stdio_use {
            StdioUse::Stdio => stdio::read(output, limit, tag, lines.0, lines.1).await,
            StdioUse::Elsewhere => stdio::log(output, of_tail, log).await,
        }
    };
    let end = ending::End {
        tree,
        stdio_use,
        kill_scope: spec.launch.kill_scope,
        seen: seen.clone(),
        stdin: queue.clone(),
        writer,
        errors,
        heard,
        stopped,
        tail: tail.clone(),
    };
    tasks.spawn(async move {
        let ended = end.run(reading).await;
        // The receiver is gone only when the whole daemon is ending.
        let _ = events.send((tag, JobEvent::Ended(ended))).await;
    });
    Ok(Job { root, guard, roster, pipes, seen, stdin: queue, stop, tail, printed })
}
