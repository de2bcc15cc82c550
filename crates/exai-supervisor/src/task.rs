//! The tasks of a job.

use std::process::ExitStatus;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use exai_os::process::Kill;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::job::{Ended, JobEvent};
use crate::lines::Lines;
use crate::log::Log;
use crate::outbox::Drain;
use crate::tail::Tail;

/// One read of stdout: what a Linux pipe holds.
const CHUNK: usize = 64 * 1024;
/// Messages below this are gathered into one write.
const SMALL: usize = 16 * 1024;
/// After closing stdin, and after asking to terminate.
const GRACE: Duration = Duration::from_secs(2);

/// Writes stdin until the outbox ends or nobody reads.
pub(crate) async fn write(mut stdin: ChildStdin, mut drain: Drain) {
    let mut batch: Vec<Bytes> = Vec::new();
    let mut buffer = BytesMut::new();
    while drain.take(&mut batch).await {
        for message in batch.drain(..) {
            if message.len() >= SMALL {
                // Large ones are not copied; what was gathered goes first.
                if stdin.write_all_buf(&mut buffer).await.is_err() || stdin.write_all(&message).await.is_err()
                {
                    return;
                }
            } else {
                buffer.extend_from_slice(&message);
            }
            buffer.extend_from_slice(b"\n");
        }
        if stdin.write_all_buf(&mut buffer).await.is_err() {
            return;
        }
    }
}

/// Reads stdout to its end and passes its lines on, as many at once as there are.
pub(crate) async fn read<T: Copy>(
    mut stdout: ChildStdout,
    line_limit: usize,
    tag: T,
    events: mpsc::Sender<(T, JobEvent)>,
) {
    let mut lines = Lines::new(line_limit);
    loop {
        match stdout.read_buf(lines.room(CHUNK)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let mut found = Vec::new();
        lines.take(&mut found);
        if !found.is_empty() && events.send((tag, JobEvent::Lines(found))).await.is_err() {
            return;
        }
    }
}

/// Reads stderr to its end, into the tail and the log.
pub(crate) async fn log(mut stderr: ChildStderr, tail: Tail, mut log: Log) {
    let mut lines = Lines::new(CHUNK);
    loop {
        let room = lines.room(4096);
        let before = room.len();
        match stderr.read_buf(room).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let chunk = room[before..].to_vec();
        let mut found = Vec::new();
        lines.take(&mut found);
        for line in found {
            match line {
                crate::lines::Line::Whole(line) | crate::lines::Line::TooLong(line) => tail.push(&line),
            }
        }
        // The disk may be slow; the thread that routes must not be.
        let written = tokio::task::spawn_blocking(move || {
            let outcome = log.write(&chunk);
            (log, outcome)
        });
        match written.await {
            Ok((returned, outcome)) => {
                log = returned;
                if let Err(error) = outcome {
                    tracing::warn!(%error, "a server's log could not be written");
                }
            }
            Err(_) => return,
        }
    }
}

/// What sees to the end of a job.
pub(crate) struct End {
    pub(crate) child: Child,
    pub(crate) pid: u32,
    pub(crate) writer: JoinHandle<()>,
    pub(crate) errors: JoinHandle<()>,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) tail: Tail,
}

impl End {
    /// Runs until the tree is gone.
    pub(crate) async fn run(mut self, lines: impl Future<Output = ()>) -> Ended {
        let asked = {
            let mut lines = std::pin::pin!(lines);
            let asked = tokio::select! {
                () = &mut lines => false,
                _ = self.stopped.wait_for(|stop| *stop) => true,
            };
            if asked {
                // stdin closes once the outbox is written; stdout is read on meanwhile, so that a server
                // that has something to say before it ends can.
                let wrote = async { (&mut self.writer).await.is_ok() };
                let _ = timeout(GRACE, wrote).await;
                self.writer.abort();
                if timeout(GRACE, &mut lines).await.is_err() {
                    self.signal(Kill::Terminate);
                    let _ = timeout(GRACE, &mut lines).await;
                }
            }
            asked
        };
        self.writer.abort();
        // stdout has ended, or the ladder has: give the root a moment to become a zombie, then kill what is
        // left of its group while its number is still taken.
        self.root_exited(Duration::from_millis(500)).await;
        self.signal(Kill::Force);
        let status = timeout(GRACE, self.child.wait()).await;
        let _ = timeout(Duration::from_millis(200), &mut self.errors).await;
        self.errors.abort();
        let reason = match status {
            _ if asked => "was stopped".to_owned(),
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => format!("ended, and its status could not be read ({error})"),
            Err(_) => "closed its output and could not be killed".to_owned(),
        };
        Ended { reason, stderr_tail: self.tail.text() }
    }

    fn signal(&self, how: Kill) {
        if let Err(error) = exai_os::child::signal_tree(self.pid, how) {
            tracing::debug!(pid = self.pid, %error, "the process group could not be signalled");
        }
    }

    /// Waits until the root is a zombie, without reaping it.
    async fn root_exited(&self, limit: Duration) {
        let mut pause = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while waited < limit && matches!(exai_os::process::identify(self.pid), Ok(Some(_))) {
            sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

fn describe(status: ExitStatus) -> String {
    // `ExitStatus` shows itself as "exit status: 3" or "signal: 9 (SIGKILL)".
    match status.code() {
        Some(code) => format!("exited with status {code}"),
        None => format!("was ended by {status}"),
    }
}
