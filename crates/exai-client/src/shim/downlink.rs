//! From the daemon to the client: finds a daemon, writes what waited for it, passes on what it says, and finds another
//! when this one is gone.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use exai_proto::link::{ByeReason, FromDaemon};

use super::link_loss_backoff::LinkLossBackoff;
use super::outgoing::Outgoing;
use super::shared::{Shim, lock};
use crate::frame::{self, Decoder, Frame, Opcode};
use crate::limits::LARGE_MESSAGE_BYTES;
use crate::session::MessageAction;
use crate::stream::{Framing, Stream};

/// The close code 1001 ("going away") of a WebSocket whose daemon ends. A reason may follow it.
const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();

impl<W: Write + Send + 'static> Shim<W> {
    /// Runs until the client is gone.
    pub(super) fn downlink(&self) {
        let (mut met, mut link_loss_backoff) = (false, LinkLossBackoff::default());
        let mut outgoing = Outgoing::default();
        while let Some((stream, mut decoder)) = self.find_daemon(met, link_loss_backoff.pause()) {
            met = true;
            let since = Instant::now();
            let mut writer = lock(&self.writer);
            *writer = Some(Arc::clone(&stream));
            let mut state = lock(&self.state);
            state.tried = true;
            state.link = Some(Arc::clone(&stream));
            state.heard = since;
            let replay = state.session.link_opened();
            let waiting = state.session.take_waiting(since);
            drop(state);
            // The timekeeper must know of the link before the writes below: they block if the daemon reads nothing.
            self.changed.notify_all();
            if self.write_frames(&stream, &replay, &mut outgoing) < replay.len() {
                stream.close();
            }
            self.write_lines(writer.as_ref(), &waiting, &mut outgoing);
            drop(writer);
            self.read_link(&stream, &mut decoder);
            // Wakes a thread that is blocked writing to it.
            stream.close();
            let mut writer = lock(&self.writer);
            *writer = None;
            let now = Instant::now();
            let mut state = lock(&self.state);
            state.link = None;
            let answers = state.session.link_lost(now);
            drop(state);
            drop(writer);
            self.write_output(&answers);
            self.changed.notify_all();
            link_loss_backoff.lost(now.duration_since(since));
        }
    }

    /// Passes messages on until the link is lost.
    fn read_link(&self, stream: &Stream, decoder: &mut Decoder) {
        let mut out = Vec::new();
        loop {
            match decoder.read_from(stream) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            let open = self.forward_frames(stream, decoder, &mut out);
            self.write_output(&out);
            out.clear();
            if out.capacity() > 4 * LARGE_MESSAGE_BYTES {
                out = Vec::new();
            }
            let mut state = lock(&self.state);
            state.unflushed = false;
            state.heard = Instant::now();
            let ending = state.input_ended.is_some();
            drop(state);
            if ending {
                self.changed.notify_all();
            }
            if !open {
                return;
            }
        }
    }

    /// Handles all whole frames. Afterwards what is for the client is in `out`, or was written. Returns `false` when
    /// the link cannot be used any more.
    fn forward_frames(&self, stream: &Stream, decoder: &mut Decoder, out: &mut Vec<u8>) -> bool {
        loop {
            let frame = match decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return true,
                Err(error) => {
                    (self.report)(&format!("the link is broken: {error}"));
                    return false;
                }
            };
            match (frame.opcode, stream.framing()) {
                (Opcode::Binary, _) | (Opcode::Text, Framing::Mcp) => {
                    self.forward_message(frame.payload, out);
                }
                (Opcode::Text, Framing::Link) => self.handle_control(frame.payload),
                (Opcode::Ping, framing) => {
                    let mut pong = Vec::new();
                    frame::put(&mut pong, Opcode::Pong, frame.payload, framing.key());
                    self.answer_ping(stream, pong);
                }
                (Opcode::Close, framing) => {
                    self.note_close(&frame, framing);
                    return false;
                }
                (Opcode::Pong | Opcode::Continuation, _) => {}
            }
        }
    }

    /// Plain MCP cannot say whether a daemon is stopped or restarted. In both cases this shim starts no other daemon
    /// by itself and joins the next one.
    fn note_close(&self, close: &Frame<'_>, framing: Framing) {
        if framing == Framing::Mcp && close.payload.starts_with(&GOING_AWAY) {
            lock(&self.state).session.note_goodbye(ByeReason::Stop);
        }
    }

    fn forward_message(&self, message: &[u8], out: &mut Vec<u8>) {
        let mut state = lock(&self.state);
        let verdict = state.session.accept_message(message);
        state.unflushed |= verdict == MessageAction::Forward;
        drop(state);
        match verdict {
            MessageAction::Forward if message.len() >= LARGE_MESSAGE_BYTES => {
                self.write_output(out);
                out.clear();
                self.write_output(message);
                out.push(b'\n');
            }
            MessageAction::Forward => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            MessageAction::Instead(lines) => out.extend_from_slice(&lines),
        }
    }

    fn handle_control(&self, text: &[u8]) {
        match serde_json::from_slice(text) {
            Ok(FromDaemon::Bye { reason }) => lock(&self.state).session.note_goodbye(reason),
            Ok(FromDaemon::Hold { .. }) => lock(&self.state).session.hold(),
            Ok(FromDaemon::Repeatable { tools }) => lock(&self.state).session.set_repeatable(tools),
            Ok(FromDaemon::Refused { reason } | FromDaemon::Error { reason }) => {
                (self.report)(&format!("the daemon says: {reason}"));
            }
            // Answers to questions that a shim does not ask, and control messages of a newer daemon.
            Ok(_) | Err(_) => {}
        }
    }

    /// Reading must not wait for writing: while another thread writes, the pong is left to that thread.
    fn answer_ping(&self, stream: &Stream, pong: Vec<u8>) {
        match self.writer.try_lock() {
            Ok(_writer) => {
                // If this fails, so does everything else on this link.
                let mut stream = stream;
                let _ = stream.write_all(&pong);
            }
            Err(_) => *lock(&self.pong) = Some(pong),
        }
    }
}
