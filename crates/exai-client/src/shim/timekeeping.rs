//! What is due at a time, and the end of the shim.

use std::io::Write;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::shared::{Shim, lock};
use crate::frame::{self, Opcode};
use crate::limits::OUTPUT_TIMEOUT;

impl<W: Write + Send + 'static> Shim<W> {
    /// Does what is due at a time, until the shim ends.
    pub(super) fn keep_time(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            let end = state.input_ended.map(|ended| ended + OUTPUT_TIMEOUT);
            let nothing_owed = state.session.is_idle() && !state.unflushed && state.tried;
            if state.over || end.is_some_and(|end| nothing_owed || now >= end) {
                break;
            }
            let answers = state.session.expire(now);
            if !answers.is_empty() {
                drop(state);
                self.write_output(&answers);
                state = lock(&self.state);
                continue;
            }
            let beat = self.check_liveness(&mut state, now);
            state = match [state.session.deadline(), end, beat].into_iter().flatten().min() {
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        // With `over` set the downlink looks for no other daemon when the link closes.
        state.over = true;
        drop(state);
        self.close_link();
    }

    fn close_link(&self) {
        // A thread that writes at this moment is blocked. Then the end of the process closes the link.
        let Ok(writer) = self.writer.try_lock() else { return };
        if let Some(stream) = &*writer {
            let mut close = Vec::new();
            frame::put(&mut close, Opcode::Close, b"", stream.framing().key());
            let _ = (&**stream).write_all(&close);
            stream.close();
        }
    }
}
