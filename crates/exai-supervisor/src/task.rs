//! The tasks of a job.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use exai_os::process::{self, ProcessInfo};
use exai_os::tree::{Input, Output, Reach, RootExit, Tree};
use exai_proto::Segments;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::job::{Ended, GRACE, JobEvent, Seen, Speech};
use crate::lines::{Line, Lines};
use crate::log::Log;
use crate::outbox::{Drain, Outbox};
use crate::tail::{self, Tail};
use crate::turns::Turns;

/// One read of stdout: what a Linux pipe holds. More is not gathered for one write either.
const CHUNK: usize = 64 * 1024;
/// One read of stderr.
const ERROR_CHUNK: usize = 16 * 1024;
/// Messages below this are gathered into one write.
const SMALL: usize = 16 * 1024;
/// How long what a process wrote before it exited may take to be read; later lines are another's.
const LEFT_IN_PIPE: Duration = Duration::from_millis(250);
/// How long stdout has to end once stdin is broken.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the root has to exit once stdout has ended, the pipes have to end once the group is dead, and, after
/// [`LEFT_IN_PIPE`], who holds them once the root has exited has to speak. In that time everybody waits for a server
/// that may be dead: all of it and the next start should take less than a second.
const MOMENT: Duration = Duration::from_millis(500);
/// How often it is looked for what a root that has exited left to work on.
const LOOK: Duration = Duration::from_millis(500);

/// Writes stdin until the outbox ends or nobody reads. The end of `drain` closes the outbox.
pub(crate) async fn write(mut stdin: Input, mut drain: Drain) {
    let mut batch: Vec<Segments> = Vec::new();
    let mut buffer = BytesMut::new();
    while drain.take(&mut batch).await {
        if let Err(error) = write_batch(&mut stdin, &mut batch, &mut buffer).await {
            tracing::debug!(%error, "stdin cannot be written to");
            return;
        }
    }
}

/// Small messages are gathered into as few writes as can be; large ones are not copied.
async fn write_batch(stdin: &mut Input, batch: &mut Vec<Segments>, buffer: &mut BytesMut) -> io::Result<()> {
    for message in batch.drain(..) {
        if message.len() >= SMALL {
            let mut all = (&mut *buffer).chain(message).chain(&b"\n"[..]);
            stdin.write_all_buf(&mut all).await?;
        } else {
            if buffer.len() + message.len() >= CHUNK {
                stdin.write_all_buf(buffer).await?;
            }
            message.iter().for_each(|part| buffer.extend_from_slice(part));
            buffer.extend_from_slice(b"\n");
        }
    }
    stdin.write_all_buf(buffer).await?;
    // Nothing on Unix; on Windows, where another thread writes, the write is over and its error known only now.
    stdin.flush().await
}

/// Reads stdout to its end and passes its lines on, as many at once as there are. `heard` counts them.
pub(crate) async fn read<T: Copy>(
    mut stdout: Output,
    line_limit: usize,
    tag: T,
    events: mpsc::Sender<(T, JobEvent)>,
    heard: Arc<AtomicU64>,
) {
    let mut lines = Lines::new(line_limit);
    let turns = Turns::new();
    loop {
        match stdout.read_buf(lines.room(CHUNK)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let mut found = Vec::new();
        lines.take(&mut found);
        heard.fetch_add(found.len() as u64, Ordering::Relaxed);
        if found.is_empty() {
            continue;
        }
        let turn = turns.next().await;
        if events.send((tag, JobEvent::Lines(found, turn))).await.is_err() {
            return;
        }
    }
}

/// Reads what is for people to its end, into the tail and the log. Nothing is read while the log is being
/// written: a server that floods waits for the disk, and costs no memory.
pub(crate) async fn log(mut words: impl AsyncRead + Unpin, tail: Tail, log: Arc<Mutex<Log>>) {
    let mut lines = Lines::new(CHUNK);
    let mut found = Vec::new();
    let mut chunk = Vec::new();
    let mut failing = false;
    loop {
        let room = lines.room(ERROR_CHUNK);
        let before = room.len();
        let ended = matches!(words.read_buf(&mut *room).await, Ok(0) | Err(_));
        chunk.clear();
        chunk.extend_from_slice(&room[before..]);
        lines.take(&mut found);
        if ended {
            found.extend(lines.rest());
        }
        // Of a flood's lines only the last would stay.
        let passed = found.len().saturating_sub(tail::LINES);
        for line in found.drain(..).skip(passed) {
            match line {
                Line::Whole(line) | Line::TooLong(line) => tail.push(&line),
            }
        }
        if ended {
            return;
        }
        // The disk may be slow; the thread that routes must not be.
        let log = log.clone();
        let written = tokio::task::spawn_blocking(move || {
            let outcome = log.lock().unwrap_or_else(PoisonError::into_inner).write(&chunk);
            (chunk, outcome)
        });
        let Ok((emptied, outcome)) = written.await else { return };
        chunk = emptied;
        if let Err(error) = &outcome
            && !failing
        {
            tracing::warn!(%error, "a server's log could not be written");
        }
        failing = outcome.is_err();
    }
}

/// What sees to the end of a job.
pub(crate) struct End {
    pub(crate) tree: Tree,
    pub(crate) speech: Speech,
    pub(crate) reach: Reach,
    pub(crate) seen: Seen,
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
enum Why {
    Asked,
    Output,
    Input,
    Exit,
    /// The guard is gone.
    Unguarded,
}

/// The reading of stdout, which several waits go on with until it is over.
struct Reading<'a, F>(Option<Pin<&'a mut F>>);

impl<F: Future<Output = ()>> Reading<'_, F> {
    /// Reads on to the end; comes back at once when that was reached. Cancel safe.
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
        let why = match self.speech {
            Speech::Stdio => self.until_of_no_use(&mut reading).await,
            Speech::Elsewhere => self.until_nobody_works(&mut reading).await,
        };
        self.writer.abort();
        // Who came to the end of the ladder with stdout still open has had its time.
        let patience = match why {
            Why::Asked if reading.0.is_some() => Duration::ZERO,
            Why::Unguarded => Duration::ZERO,
            Why::Asked | Why::Output | Why::Input | Why::Exit => MOMENT,
        };
        let mut exit = timeout(patience, self.tree.exited()).await.ok();
        let by_itself = exit.is_some();
        if !by_itself && !matches!(why, Why::Asked | Why::Unguarded) && self.tree.terminate() {
            exit = timeout(GRACE, self.tree.exited()).await.ok();
        }
        self.tree.kill();
        let left = self.tree.ended(&self.seen.members()).await;
        // The pipes end with the tree, unless somebody who is left holds them.
        let _ = tokio::join!(timeout(MOMENT, reading.end()), timeout(MOMENT, &mut self.errors));
        self.errors.abort();
        let reason = match exit {
            _ if why == Why::Asked => "was stopped".to_owned(),
            _ if why == Why::Unguarded => "lost its guard and was ended".to_owned(),
            _ if !by_itself && why == Why::Output => "closed its stdout and was ended".to_owned(),
            _ if !by_itself => "closed its stdin and was ended".to_owned(),
            Some(exit) => exit.to_string(),
            None => "was ended".to_owned(),
        };
        Ended { reason, stderr_tail: self.tail.text(), left }
    }

    /// Waits until the job is of no use any more, or has come to the end of the stop ladder.
    async fn until_of_no_use<F: Future<Output = ()>>(&mut self, reading: &mut Reading<'_, F>) -> Why {
        let mut root_lives = true;
        loop {
            let why = tokio::select! {
                () = reading.end() => Why::Output,
                () = self.stdin.closed() => Why::Input,
                _ = self.stopped.wait_for(Option::is_some) => Why::Asked,
                why = root_or_guard(&mut self.tree, root_lives) => why,
            };
            match why {
                Why::Output | Why::Unguarded => return why,
                // Stopping closes the queue as well, but says so before.
                Why::Asked | Why::Input if self.stopped.borrow().is_some() => {
                    self.stop_ladder(reading, root_lives).await;
                    return Why::Asked;
                }
                Why::Asked | Why::Input => {
                    let _ = timeout(LAST_WORDS, reading.end()).await;
                    return why;
                }
                Why::Exit => {
                    root_lives = false;
                    if !self.somebody_speaks(reading).await {
                        return why;
                    }
                    tracing::debug!("the process that was spawned has exited, what it started lives on");
                }
            }
        }
    }

    /// The same for a job whose stdio says nothing about its use. On the stop ladder its group is asked to
    /// terminate at once: a server that is not spoken to over stdin does not wait for its end.
    async fn until_nobody_works<F: Future<Output = ()>>(&mut self, reading: &mut Reading<'_, F>) -> Why {
        let exit = tokio::select! {
            never = drained(reading) => match never {},
            _ = self.stopped.wait_for(Option::is_some) => None,
            exit = self.tree.exited() => Some(exit),
        };
        let why = match exit {
            None => Why::Asked,
            // A launcher that has done its work: what it started may be the server.
            Some(RootExit::Code(0)) => tokio::select! {
                never = drained(reading) => match never {},
                () = nobody_is_left(&self.tree, self.reach, LOOK) => Why::Exit,
                _ = self.stopped.wait_for(Option::is_some) => Why::Asked,
            },
            Some(RootExit::Unseen) => Why::Unguarded,
            Some(RootExit::Code(_) | RootExit::Signal(_)) => Why::Exit,
        };
        if why == Why::Asked {
            let grace = self.stopped.borrow().unwrap_or(GRACE);
            self.writer.abort();
            if self.tree.terminate() {
                tokio::select! {
                    never = drained(reading) => match never {},
                    () = nobody_is_left(&self.tree, self.reach, LOOK / 10) => {}
                    () = sleep(grace) => {}
                }
            }
        }
        why
    }

    /// After the root's exit: whether somebody else speaks on stdout.
    async fn somebody_speaks<F: Future<Output = ()>>(&self, reading: &mut Reading<'_, F>) -> bool {
        if timeout(LEFT_IN_PIPE, reading.end()).await.is_ok() {
            return false;
        }
        let before = self.heard.load(Ordering::Relaxed);
        let ended = timeout(MOMENT, reading.end()).await.is_ok();
        !ended && self.heard.load(Ordering::Relaxed) != before
    }

    /// Closes stdin once the outbox is written and waits; asks the group to terminate and waits. stdout is
    /// read on meanwhile, so that a server that has something to say before it ends can.
    async fn stop_ladder<F: Future<Output = ()>>(&mut self, reading: &mut Reading<'_, F>, root_lives: bool) {
        let grace = self.stopped.borrow().unwrap_or(GRACE);
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
        // Gives what the root leaves behind its chance as well.
        if self.tree.terminate() {
            let _ = timeout(grace, reading.end()).await;
        }
    }
}

/// Reads on, and never comes back: the end of what is read means nothing.
async fn drained<F: Future<Output = ()>>(reading: &mut Reading<'_, F>) -> Infallible {
    reading.end().await;
    std::future::pending().await
}

/// Looks until nobody of the tree lives but its guard; that is the case, too, when the guard is gone.
fn nobody_is_left(tree: &Tree, reach: Reach, pause: Duration) -> impl Future<Output = ()> + use<> {
    let (root, guard, roster) = (tree.root().clone(), tree.guard().cloned(), tree.roster());
    async move {
        loop {
            let (root, guard, roster) = (root.clone(), guard.clone(), roster.clone());
            let look = move || {
                // All at once: in between two looks one could start another and be gone.
                if let Some(pids) = roster.pids() {
                    return pids.is_empty();
                }
                let Ok(table) = process::snapshot() else { return false };
                let members = crate::tree::members(&table, guard.as_ref(), &root, &roster);
                let guard = guard.map(|guard| guard.pid);
                let within = |one: &ProcessInfo| reach == Reach::Descendants || one.pgid == root.pid;
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
async fn root_or_guard(tree: &mut Tree, root_lives: bool) -> Why {
    if !root_lives {
        tree.unguarded().await;
        return Why::Unguarded;
    }
    match tree.exited().await {
        RootExit::Unseen => Why::Unguarded,
        RootExit::Code(_) | RootExit::Signal(_) => Why::Exit,
    }
}
