//! What the threads of a shim share, and the two writes that more than one of them makes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::heartbeat::Heartbeat;
use super::outgoing::Outgoing;
use crate::daemon_route::DaemonRoute;
use crate::limits::{MAX_PART_BYTES, MAX_WRITE_BYTES};
use crate::route_error::RouteError;
use crate::session::Session;
use crate::stream::Stream;

/// What the three threads share under one lock.
pub(super) struct SharedState {
    pub(super) session: Session,
    pub(super) input_ended: Option<Instant>,
    /// The client is gone, or it has stopped reading.
    pub(super) over: bool,
    /// An answer that the session counts as given is not written yet.
    pub(super) unflushed: bool,
    /// Whether the route was tried once. A route by URL that fails gives an exit code even when there is no input at
    /// all.
    pub(super) tried: bool,
    /// Why this client never had a daemon.
    pub(super) no_way: Option<RouteError>,
    /// The link, for closing it: the thread that holds `writer` may be blocked in a write.
    pub(super) link: Option<Arc<Stream>>,
    /// When the daemon last showed that it lives: the downlink had passed on what it read, or a part of a message was taken.
    pub(super) heard: Instant,
    /// Present while the daemon owes answers and must show that it lives.
    pub(super) heartbeat: Option<Heartbeat>,
}

/// One shim: everything that its threads share.
pub(super) struct Shim<W> {
    pub(super) way: DaemonRoute,
    pub(super) report: fn(&str),
    pub(super) state: Mutex<SharedState>,
    pub(super) changed: Condvar,
    /// The link, to be written to by the thread that holds this lock. `None` without a daemon.
    pub(super) writer: Mutex<Option<Arc<Stream>>>,
    pub(super) pong: Mutex<Option<Vec<u8>>>,
    pub(super) output: Mutex<W>,
    /// When the daemon last took a large part of a message, until somebody looks.
    pub(super) part_taken: Mutex<Option<Instant>>,
    /// How many threads write to the client, or wait to. While one does, the downlink reads nothing because the
    /// client does not read, not because the daemon is silent.
    pub(super) writers_to_client: AtomicU32,
}

impl<W: Write + Send + 'static> Shim<W> {
    /// Writes lines that the session counts as written, and gives back to it those that could not be written.
    pub(super) fn write_lines(
        &self,
        writer: Option<&Arc<Stream>>,
        lines: &[impl AsRef<[u8]>],
        outgoing: &mut Outgoing,
    ) {
        if lines.is_empty() {
            return;
        }
        let written = match writer {
            Some(stream) => self.write_frames(stream, lines, outgoing),
            None => 0,
        };
        if written < lines.len() {
            lock(&self.state).session.unsent(lines[written..].iter().map(AsRef::as_ref), Instant::now());
            // The downlink notices that the link is closed and finds another.
            if let Some(stream) = writer {
                stream.close();
            }
        }
        // Not within the condition below: that would hold the lock during the write, and reading waits for the lock.
        let pong = lock(&self.pong).take();
        if let (Some(stream), Some(pong)) = (writer, pong) {
            // If this fails, so does everything else on this link.
            let _ = (&**stream).write_all(&pong);
        }
    }

    /// Writes lines and returns how many of them, from the first on, were written whole.
    pub(super) fn write_frames(
        &self,
        stream: &Stream,
        lines: &[impl AsRef<[u8]>],
        outgoing: &mut Outgoing,
    ) -> usize {
        let mut parts = Parts { stream, taken: &self.part_taken };
        outgoing.write(&mut parts, stream.framing(), lines)
    }

    /// Writes to the client.
    pub(super) fn write_output(&self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        self.writers_to_client.fetch_add(1, Ordering::Relaxed);
        let mut output = lock(&self.output);
        let told = output.write_all(lines).and_then(|()| output.flush());
        drop(output);
        self.writers_to_client.fetch_sub(1, Ordering::Relaxed);
        if told.is_err() {
            lock(&self.state).over = true;
            self.changed.notify_all();
        }
    }
}

/// The link, for writing. Long messages are written in parts, and a part that was taken is a sign of life: the buffers of the
/// system soon take no more from who does not read.
struct Parts<'a> {
    stream: &'a Stream,
    taken: &'a Mutex<Option<Instant>>,
}

impl Write for Parts<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut stream = self.stream;
        if buffer.len() < MAX_WRITE_BYTES {
            return stream.write(buffer);
        }
        let count = stream.write(&buffer[..buffer.len().min(MAX_PART_BYTES)])?;
        *lock(self.taken) = Some(Instant::now());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Locks, also after another thread panicked while it held the lock.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
