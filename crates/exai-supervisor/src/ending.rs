//! The task that ends a job: why the job ends, and the stop ladder.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use exai_os::process::{self, ProcessInfo};
use exai_os::tree::{KillScope, RootExit, Tree};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::events::{Ended, SeenMembers, StdioUse};
use crate::limits::{DRAIN_TIMEOUT, EXIT_TIMEOUT, LAST_OUTPUT_TIMEOUT, MEMBERS_INTERVAL, STOP_GRACE};
use crate::outbox::Outbox;
use crate::speakers::{Speakers, count_members};
use crate::tail::Tail;

/// Everything that the end of a job needs.
pub(crate) struct End {
    pub(crate) tree: Tree,
    pub(crate) stdio_use: StdioUse,
    pub(crate) kill_scope: KillScope,
    pub(crate) seen: SeenMembers,
    /// To learn that the writer failed.
    pub(crate) stdin: Outbox,
    pub(crate) writer: JoinHandle<()>,
    pub(crate) errors: JoinHandle<()>,
    /// How many lines were read from stdout.
    pub(crate) heard: Arc<AtomicU64>,
    /// How long each step of stopping may take, once it was asked for.
    pub(crate) stopped: watch::Receiver<Option<Duration>>,
    pub(crate) tail: Tail,
}

/// Why a job ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EndReason {
    Asked,
    Output,
    Input,
    Exit,
    /// The process that spoke after the root had exited is gone as well.
    Left,
    /// The guard is gone.
    Unguarded,
}

/// What comes after the exit of the root.
enum Silence {
    /// Nothing is written to stdout any more.
    Dead,
    /// Another process writes to stdout: these do, where the system tells.
    Broken(Option<Speakers>),
}

/// The reading of stdout, which several waits in a row continue.
struct Reading<'a, F>(Option<Pin<&'a mut F>>);

impl<F: Future<Output = ()>> Reading<'_, F> {
    /// Reads to the end. Returns at once when the end was reached before. Cancel safe.
    async fn end(&mut self) {
        if let Some(reading) = &mut self.0 {
            reading.as_mut().await;
            self.0 = None;
        }
    }
}

impl End {
    /// Runs until the tree is gone.
    pub(crate) async fn run(mut self, reading: impl Future<Output = ()>) -> Ended {
        let reading = std::pin::pin!(reading);
        let mut reading = Reading(Some(reading));
        let why = match self.stdio_use {
            StdioUse::Stdio => self.until_of_no_use(&mut reading).await,
            StdioUse::Elsewhere => self.until_nobody_works(&mut reading).await,
        };
        self.writer.abort();
        // A root whose stdout is still open at the end of the ladder has had its time.
        let patience = match why {
            EndReason::Asked if reading.0.is_some() => Duration::ZERO,
            EndReason::Unguarded => Duration::ZERO,
            EndReason::Asked | EndReason::Output | EndReason::Input | EndReason::Exit | EndReason::Left => {
                EXIT_TIMEOUT
            }
        };
        let mut exit = timeout(patience, self.tree.exited()).await.ok();
        let by_itself = exit.is_some();
        if !by_itself && !matches!(why, EndReason::Asked | EndReason::Unguarded) && self.tree.terminate() {
            exit = timeout(STOP_GRACE, self.tree.exited()).await.ok();
        }
        self.tree.kill();
        let left = self.tree.ended(&self.seen.members()).await;
        // The pipes end with the tree, unless a process that is left holds them.
        let _ = tokio::join!(timeout(EXIT_TIMEOUT, reading.end()), timeout(EXIT_TIMEOUT, &mut self.errors));
        self.errors.abort();
        let reason = match exit {
            _ if why == EndReason::Asked => "was stopped".to_owned(),
            _ if why == EndReason::Unguarded => "lost its guard and was ended".to_owned(),
            // How it ended nobody knows: its parent was gone.
            _ if why == EndReason::Left => {
                "has ended, as the process that had started it had before".to_owned()
            }
            _ if !by_itself && why == EndReason::Output => "closed its stdout and was ended".to_owned(),
            _ if !by_itself => "closed its stdin and was ended".to_owned(),
            Some(exit) => exit.to_string(),
            None => "was ended".to_owned(),
        };
        Ended { reason, exit, stderr_tail: self.tail.text(), left }
    }

    /// Waits until the job cannot be used any more, or has come to the end of the stop ladder.
    async fn until_of_no_use<F: Future<Output = ()>>(&mut self, reading: &mut Reading<'_, F>) -> EndReason {
        let mut root_lives = true;
        let mut speakers: Option<Speakers> = None;
        loop {
            let why = tokio::select! {
                () = reading.end() => EndReason::Output,
                () = self.stdin.closed() => EndReason::Input,
                _ = self.stopped.wait_for(Option::is_some) => EndReason::Asked,
                why = root_or_guard(&mut self.tree, root_lives) => why,
                () = all_gone(speakers.as_ref()) => EndReason::Left,
            };
            match why {
                EndReason::Output | EndReason::Unguarded => return why,
                // A stop also closes the queue, but sets `stopped` first.
                EndReason::Asked | EndReason::Input if self.stopped.borrow().is_some() => {
                    self.stop_ladder(reading, root_lives).await;
                    return EndReason::Asked;
                }
                EndReason::Asked | EndReason::Input => {
                    let _ = timeout(LAST_OUTPUT_TIMEOUT, reading.end()).await;
                    return why;
                }
                EndReason::Exit | EndReason::Left => {
                    root_lives = false;
                    match self.find_speakers(reading).await {
                        Silence::Dead => return why,
                        Silence::Broken(found) => speakers = found,
                    }
                    tracing::debug!("the process that was spawned has exited, what it started lives on");
                }
            }
        }
    }

    /// The same for a job whose server is not reached over stdio. On the stop ladder its group is asked to terminate
    /// at once: such a server does not wait for the end of its stdin.
    async fn until_nobody_works<F: Future<Output = ()>>(
        &mut self,
        reading: &mut Reading<'_, F>,
    ) -> EndReason {
        let exit = tokio::select! {
            never = drained(reading) => match never {},
            _ = self.stopped.wait_for(Option::is_some) => None,
            exit = self.tree.exited() => Some(exit),
        };
        let why = match exit {
            None => EndReason::Asked,
            // A launcher may have done its work, and a process that it started may be the server.
            Some(RootExit::Code(0)) => tokio::select! {
                never = drained(reading) => match never {},
                () = nobody_is_left(&self.tree, self.kill_scope, MEMBERS_INTERVAL) => EndReason::Exit,
                _ = self.stopped.wait_for(Option::is_some) => EndReason::Asked,
            },
            Some(RootExit::Unseen) => EndReason::Unguarded,
            Some(RootExit::Code(_) | RootExit::Signal(_)) => EndReason::Exit,
        };
        if why == EndReason::Asked {
            let grace = self.stopped.borrow().unwrap_or(STOP_GRACE);
            self.writer.abort();
            if self.tree.terminate() {
                tokio::select! {
                    never = drained(reading) => match never {},
                    () = nobody_is_left(&self.tree, self.kill_scope, MEMBERS_INTERVAL / 10) => {}
                    () = sleep(grace) => {}
                }
            }
        }
        why
    }

    /// After the exit of the root, or of what spoke then: whether another process writes to stdout, and which.
    async fn find_speakers<F: Future<Output = ()>>(&self, reading: &mut Reading<'_, F>) -> Silence {
        if timeout(DRAIN_TIMEOUT, reading.end()).await.is_ok() {
            return Silence::Dead;
        }
        let before = self.heard.load(Ordering::Relaxed);
        let counted = count_members(&self.tree).await;
        let ended = timeout(EXIT_TIMEOUT, reading.end()).await.is_ok();
        if ended || self.heard.load(Ordering::Relaxed) == before {
            return Silence::Dead;
        }
        Silence::Broken(Speakers::between(&counted, count_members(&self.tree).await))
    }

    /// Closes stdin once the outbox is written and waits; asks the group to terminate and waits. stdout is read
    /// meanwhile, so that a server can still write before it ends.
    async fn stop_ladder<F: Future<Output = ()>>(&mut self, reading: &mut Reading<'_, F>, root_lives: bool) {
        let grace = self.stopped.borrow().unwrap_or(STOP_GRACE);
        let writer = &mut self.writer;
        let stdin_closes = async {
            let _ = timeout(grace, &mut *writer).await;
            writer.abort();
            sleep(grace).await;
        };
        tokio::select! {
            () = reading.end() => return,
            _ = self.tree.exited(), if root_lives => {}
            () = stdin_closes => {}
        }
        // The processes that the root leaves behind get their time, too.
        if self.tree.terminate() {
            let _ = timeout(grace, reading.end()).await;
        }
    }
}

/// Waits until all speakers are gone; for ever where none are known.
async fn all_gone(speakers: Option<&Speakers>) {
    match speakers {
        Some(speakers) => speakers.gone().await,
        None => std::future::pending().await,
    }
}

/// Reads and never returns: the end of this stdout means nothing.
async fn drained<F: Future<Output = ()>>(reading: &mut Reading<'_, F>) -> Infallible {
    reading.end().await;
    std::future::pending().await
}

/// Waits until no process of the tree lives but its guard, or the guard is gone as well.
fn nobody_is_left(tree: &Tree, kill_scope: KillScope, pause: Duration) -> impl Future<Output = ()> + use<> {
    let (root, guard, roster) = (tree.root().clone(), tree.guard().cloned(), tree.roster());
    async move {
        loop {
            let (root, guard, roster) = (root.clone(), guard.clone(), roster.clone());
            let look = move || {
                // All of them in one snapshot: between two looks a process could start another and be gone.
                if let Some(pids) = roster.pids() {
                    return pids.is_empty();
                }
                let Ok(table) = process::snapshot() else { return false };
                let members = crate::tree::members(&table, guard.as_ref(), &root, &roster);
                let guard = guard.map(|guard| guard.pid);
                let within = |one: &ProcessInfo| kill_scope == KillScope::Descendants || one.pgid == root.pid;
                !members.iter().any(|one| within(one) && Some(one.pid) != guard)
            };
            if tokio::task::spawn_blocking(look).await.unwrap_or(false) {
                return;
            }
            sleep(pause).await;
        }
    }
}

/// Waits for the end of the root or, once that was seen, of the guard.
async fn root_or_guard(tree: &mut Tree, root_lives: bool) -> EndReason {
    if !root_lives {
        tree.unguarded().await;
        return EndReason::Unguarded;
    }
    match tree.exited().await {
        RootExit::Unseen => EndReason::Unguarded,
        RootExit::Code(_) | RootExit::Signal(_) => EndReason::Exit,
    }
}
