//! What the threads of a shim share, and the two writes that more than one of them makes.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::heartbeat::Heartbeat;
use super::outgoing::Outgoing;
use crate::daemon_route::DaemonRoute;
use crate::route_error::RouteError;
use crate::session::Session;
use crate::stream::Stream;

/// What the three threads share under one lock.
pub(super) struct SharedState {
    pub(super) session: Session,
    pub(super) input_ended: Option<Instant>,
    /// There is no client any more, or it reads no more.
    pub(super) over: bool,
    /// Something that the session counts as answered is not written yet.
    pub(super) unflushed: bool,
    /// Whether the way has been tried. One by URL is worth an exit code, also when there is no input at all.
    pub(super) tried: bool,
    /// Why there never was a daemon for this client.
    pub(super) no_way: Option<RouteError>,
    /// The link, for whoever closes it: the writer's lock may be held by somebody who is blocked.
    pub(super) link: Option<Arc<Stream>>,
    /// When the downlink had last passed on what it heard.
    pub(super) heard: Instant,
    /// There while the daemon owes something: then it must show that it lives.
    pub(super) heartbeat: Option<Heartbeat>,
}

/// One shim, with what its threads share.
pub(super) struct Shim<W> {
    pub(super) way: DaemonRoute,
    pub(super) report: fn(&str),
    pub(super) state: Mutex<SharedState>,
    pub(super) changed: Condvar,
    /// The link, for whoever holds this. `None` without a daemon.
    pub(super) writer: Mutex<Option<Arc<Stream>>>,
    pub(super) pong: Mutex<Option<Vec<u8>>>,
    pub(super) output: Mutex<W>,
    /// How many threads write to the client, or wait to. While one does, nothing is heard because the client does
    /// not read, not because the daemon is silent.
    pub(super) writers_to_client: AtomicU32,
}

impl<W: Write + Send + 'static> Shim<W> {
    /// Writes lines that count as written; those that were not go back.
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
            Some(stream) => outgoing.write(&mut &**stream, stream.framing(), lines),
            None => 0,
        };
        if written < lines.len() {
            lock(&self.state).session.unsent(lines[written..].iter().map(AsRef::as_ref), Instant::now());
            // The downlink notices, and takes what is to be done next.
            if let Some(stream) = writer {
                stream.close();
            }
        }
        // Not within the condition: the lock would be held while writing, and reading waits for it.
        let pong = lock(&self.pong).take();
        if let (Some(stream), Some(pong)) = (writer, pong) {
            // If this fails, so does everything else on this link.
            let _ = (&**stream).write_all(&pong);
        }
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

/// A thread that panicked leaves the others the best there is.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
