//! Checks whether a daemon lives: the part of [`super::heartbeat`] that has threads and sockets.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::heartbeat::{Heartbeat, HeartbeatAction};
use super::shared::{SharedState, Shim, lock};
use crate::frame::{self, Opcode};
use crate::limits::PING_STACK_BYTES;
use crate::stream::Stream;

impl<W: Write + Send + 'static> Shim<W> {
    /// Pings a daemon that owes answers, and closes the link to a daemon that is silent. Returns when to check again;
    /// `None` while the daemon owes nothing.
    pub(super) fn check_liveness(self: &Arc<Self>, state: &mut SharedState, now: Instant) -> Option<Instant> {
        let Some(link) = state.link.clone() else {
            state.heartbeat = None;
            return None;
        };
        // A write that lasts until this check may be blocked by a daemon that does not read.
        let writing = self.writer.try_lock().is_err();
        if !writing && !state.session.awaits_daemon() {
            state.heartbeat = None;
            return None;
        }
        if let Some(taken) = lock(&self.part_taken).take() {
            state.heard = state.heard.max(taken);
        }
        if self.writers_to_client.load(Ordering::Relaxed) > 0 {
            state.heard = now;
        }
        let heartbeat = state.heartbeat.get_or_insert_with(|| Heartbeat::begin(now));
        match heartbeat.check(now, state.heard) {
            HeartbeatAction::Wait => {}
            HeartbeatAction::Ping if writing => {}
            HeartbeatAction::Ping => {
                // On a thread of its own, since the write may block.
                let shim = Arc::clone(self);
                let ping = std::thread::Builder::new().name("ping".to_owned()).stack_size(PING_STACK_BYTES);
                if ping.spawn(move || shim.ping(&link)).is_err() {
                    // No ping was sent, so silence means nothing.
                    *heartbeat = Heartbeat::begin(now);
                }
            }
            HeartbeatAction::Close => {
                link.close();
                state.link = None;
                state.heartbeat = None;
                return None;
            }
        }
        Some(heartbeat.due())
    }

    fn ping(&self, stream: &Stream) {
        let Ok(_writer) = self.writer.try_lock() else { return };
        let mut ping = Vec::new();
        frame::put(&mut ping, Opcode::Ping, b"", stream.framing().key());
        let mut stream = stream;
        // The downlink may have left a pong to this thread.
        ping.extend(lock(&self.pong).take().unwrap_or_default());
        // If this fails, so does everything else on this link.
        let _ = stream.write_all(&ping);
    }
}
