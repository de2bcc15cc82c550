//! The tasks of a job that move bytes: one writes stdin, one reads stdout, one reads stderr.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BytesMut};
use exai_os::tree::{Input, Output};
use exai_proto::Segments;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::events::JobEvent;
use crate::limits::{GATHER_BYTES, READ_BYTES, STDERR_READ_BYTES, TAIL_LINES};
use crate::lines::{Line, Lines};
use crate::log::Log;
use crate::outbox::Drain;
use crate::tail::Tail;
use crate::turns::Turns;

/// Writes stdin until the outbox ends or a write fails. Dropping `drain` then closes the outbox.
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
        if message.len() >= GATHER_BYTES {
            let mut all = (&mut *buffer).chain(message).chain(&b"\n"[..]);
            stdin.write_all_buf(&mut all).await?;
        } else {
            if buffer.len() + message.len() >= READ_BYTES {
                stdin.write_all_buf(buffer).await?;
            }
            message.iter().for_each(|part| buffer.extend_from_slice(part));
            buffer.extend_from_slice(b"\n");
        }
    }
    stdin.write_all_buf(buffer).await?;
    // Does nothing on Unix. On Windows another thread writes, and only now is the write over and its error known.
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
        match stdout.read_buf(lines.room(READ_BYTES)).await {
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

/// Reads output for people to its end, into the tail and the log. Nothing is read while the log is being written: a
/// server that floods waits for the disk and costs no memory.
pub(crate) async fn log(mut words: impl AsyncRead + Unpin, tail: Tail, log: Arc<Mutex<Log>>) {
    let mut lines = Lines::new(READ_BYTES);
    let mut found = Vec::new();
    let mut chunk = Vec::new();
    let mut failing = false;
    loop {
        let room = lines.room(STDERR_READ_BYTES);
        let before = room.len();
        let ended = matches!(words.read_buf(&mut *room).await, Ok(0) | Err(_));
        chunk.clear();
        chunk.extend_from_slice(&room[before..]);
        lines.take(&mut found);
        if ended {
            found.extend(lines.rest());
        }
        // The tail would keep only the last lines of a flood.
        let passed = found.len().saturating_sub(TAIL_LINES);
        for line in found.drain(..).skip(passed) {
            match line {
                Line::Whole(line) | Line::TooLong(line) => tail.push(&line),
            }
        }
        if ended {
            return;
        }
        // On a thread for blocking work: the disk may be slow, and the thread that routes must not wait.
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
