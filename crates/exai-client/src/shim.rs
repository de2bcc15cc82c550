//! The shim: an MCP server over stdio to its client, one link to the daemon behind it.
//!
//! Three threads, each blocked in one place:
//! - *uplink* reads stdin and writes to the daemon, all complete lines of one read at once;
//! - *downlink* finds a daemon, writes what waited for it, reads from it and writes to stdout, all complete messages
//!   of one read at once, and finds another when this one is gone;
//! - the caller's own waits: for the end, and for what is due at a time. It never writes to the daemon, for it is the
//!   one that ends the waiting of those who are blocked in that (`heartbeat.rs`).
//!
//! What is written to whom is decided by [`Session`], which has no I/O. Locks are taken in the order
//! `writer`, `state`; `output` is taken alone. Nobody holds `state` while blocked in I/O.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exai_proto::link::{ByeReason, FromDaemon};

use crate::frame::{self, Decoder, Frame, Opcode};
use crate::lines::{Line, Lines};
use crate::session::{Down, Session, Up};
use crate::stream::{Speech, Stream};
use crate::way::{Way, WayError};

mod finding;
mod heartbeat;
mod outgoing;
mod pulse;

use finding::Flapping;
use heartbeat::Heartbeat;
use outgoing::{LARGE, Outgoing};

/// For how long answers may come after stdin has ended.
const GRACE: Duration = Duration::from_millis(1500);
/// With this a WebSocket says that it closes because its daemon ends ("going away"), before why, if at all.
const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();

/// Why a shim ended without having served its client.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The system has no thread for it.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// There is no way to a daemon, and trying again would not change that.
    #[error(transparent)]
    NoWay(#[from] WayError),
}

struct State {
    session: Session,
    input_ended: Option<Instant>,
    /// There is no client any more, or it reads no more.
    over: bool,
    /// Something that the session counts as answered is not written yet.
    unflushed: bool,
    /// Whether the way has been tried. One by URL is worth an exit code, also when there is no input at all.
    tried: bool,
    /// Why there never was a daemon for this client.
    no_way: Option<WayError>,
    /// The link, for whoever closes it: the writer's lock may be held by somebody who is blocked.
    link: Option<Arc<Stream>>,
    /// When the downlink had last passed on what it heard.
    heard: Instant,
    /// There while the daemon owes something: then it must show that it lives.
    heartbeat: Option<Heartbeat>,
}

struct Shim<W> {
    way: Way,
    report: fn(&str),
    state: Mutex<State>,
    changed: Condvar,
    /// The link, for whoever holds this. `None` without a daemon.
    writer: Mutex<Option<Arc<Stream>>>,
    pong: Mutex<Option<Vec<u8>>>,
    output: Mutex<W>,
    /// How many threads write to the client, or wait to. While one does, nothing is heard because the client does
    /// not read, not because the daemon is silent.
    telling: AtomicU32,
}

/// Runs until `input` has ended (and at most 1.5 s longer) or `output` is closed. `report` tells people
/// about trouble. An error at the beginning ends it; later ones do not.
pub fn run<R, W>(way: Way, input: R, output: W, report: fn(&str)) -> Result<(), ShimError>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let now = Instant::now();
    let state = State {
        session: Session::new(now),
        input_ended: None,
        over: false,
        unflushed: false,
        tried: matches!(way, Way::Local(_)),
        no_way: None,
        link: None,
        heard: now,
        heartbeat: None,
    };
    let shim = Arc::new(Shim {
        way,
        report,
        state: Mutex::new(state),
        changed: Condvar::new(),
        writer: Mutex::new(None),
        pong: Mutex::new(None),
        output: Mutex::new(output),
        telling: AtomicU32::new(0),
    });
    let (up, down) = (Arc::clone(&shim), Arc::clone(&shim));
    // They are not joined: at the end they are blocked in a read that only the process's end can end.
    std::thread::Builder::new().name("downlink".to_owned()).spawn(move || down.downlink())?;
    std::thread::Builder::new().name("uplink".to_owned()).spawn(move || up.uplink(input))?;
    shim.keep_time();
    lock(&shim.state).no_way.take().map_or(Ok(()), |error| Err(error.into()))
}

impl<W: Write + Send + 'static> Shim<W> {
    fn uplink(&self, mut input: impl Read) {
        let mut lines = Lines::new();
        let mut outgoing = Outgoing::default();
        loop {
            let ended = match lines.read_from(&mut input) {
                Ok(0) => true,
                Ok(_) => false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    (self.report)(&format!("cannot read stdin: {error}"));
                    true
                }
            };
            self.take_in(&mut lines, ended, &mut outgoing);
            if ended {
                break;
            }
        }
        lock(&self.state).input_ended = Some(Instant::now());
        self.changed.notify_all();
    }

    fn take_in(&self, lines: &mut Lines, ended: bool, outgoing: &mut Outgoing) {
        let mut places: Vec<Range<usize>> = Vec::new();
        let mut answers = Vec::new();
        while let Some(line) = lines.next_line().or_else(|| if ended { lines.last_line() } else { None }) {
            match line {
                Line::Whole(place) => places.push(place),
                Line::TooLong(id) => answers.extend_from_slice(&Session::too_long(id)),
            }
        }
        if !places.is_empty() {
            let writer = lock(&self.writer);
            let mut kept = false;
            let mut sending: Vec<&[u8]> = Vec::with_capacity(places.len());
            let mut state = lock(&self.state);
            let now = Instant::now();
            for place in places {
                let line = &lines.data()[place];
                match state.session.up(line, now) {
                    Up::Send => sending.push(line),
                    Up::Kept => kept = true,
                    Up::Answer(answer) => {
                        kept = true;
                        answers.extend_from_slice(&answer);
                    }
                }
            }
            // Whoever keeps time sleeps for as long as nothing is owed. Told before the write: it may block.
            let wake = state.heartbeat.is_none() && !sending.is_empty();
            drop(state);
            if wake {
                self.changed.notify_all();
            }
            self.write_lines(writer.as_ref(), &sending, outgoing);
            drop(writer);
            if kept {
                self.changed.notify_all();
            }
        }
        self.tell(&answers);
    }

    /// Writes lines that count as written; those that were not go back.
    fn write_lines(&self, writer: Option<&Arc<Stream>>, lines: &[impl AsRef<[u8]>], outgoing: &mut Outgoing) {
        if lines.is_empty() {
            return;
        }
        let written = match writer {
            Some(stream) => outgoing.write(&mut &**stream, stream.speech(), lines),
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

    fn downlink(&self) {
        let (mut met, mut flapping) = (false, Flapping::default());
        let mut outgoing = Outgoing::default();
        while let Some((stream, mut decoder)) = self.find_daemon(met, flapping.pause()) {
            met = true;
            let since = Instant::now();
            let mut writer = lock(&self.writer);
            *writer = Some(Arc::clone(&stream));
            let mut state = lock(&self.state);
            state.tried = true;
            state.link = Some(Arc::clone(&stream));
            state.heard = since;
            let replay = state.session.connected();
            let waiting = state.session.take_waiting(since);
            drop(state);
            // A daemon that takes nothing must not be waited for either.
            self.changed.notify_all();
            if outgoing.write(&mut &*stream, stream.speech(), &replay) < replay.len() {
                stream.close();
            }
            self.write_lines(writer.as_ref(), &waiting, &mut outgoing);
            drop(writer);
            self.listen(&stream, &mut decoder);
            // Wakes whoever is blocked writing to it.
            stream.close();
            let mut writer = lock(&self.writer);
            *writer = None;
            let now = Instant::now();
            let mut state = lock(&self.state);
            state.link = None;
            let answers = state.session.lost(now);
            drop(state);
            drop(writer);
            self.tell(&answers);
            self.changed.notify_all();
            flapping.lost(now.duration_since(since));
        }
    }

    /// Passes messages on until the link is lost.
    fn listen(&self, stream: &Stream, decoder: &mut Decoder) {
        let mut out = Vec::new();
        loop {
            match decoder.read_from(stream) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            let open = self.pass_on(stream, decoder, &mut out);
            self.tell(&out);
            out.clear();
            if out.capacity() > 4 * LARGE {
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

    /// Takes all whole frames; what is for the client is in `out` afterwards, or written. `false` when the
    /// link is of no use any more.
    fn pass_on(&self, stream: &Stream, decoder: &mut Decoder, out: &mut Vec<u8>) -> bool {
        loop {
            let frame = match decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return true,
                Err(error) => {
                    (self.report)(&format!("the link is broken: {error}"));
                    return false;
                }
            };
            match (frame.opcode, stream.speech()) {
                (Opcode::Binary, _) | (Opcode::Text, Speech::Mcp) => self.pass_message(frame.payload, out),
                (Opcode::Text, Speech::Link) => self.obey(frame.payload),
                (Opcode::Ping, speech) => {
                    let mut pong = Vec::new();
                    frame::put(&mut pong, Opcode::Pong, frame.payload, speech.key());
                    self.answer_ping(stream, pong);
                }
                (Opcode::Close, speech) => {
                    self.take_farewell(&frame, speech);
                    return false;
                }
                (Opcode::Pong | Opcode::Continuation, _) => {}
            }
        }
    }

    /// Plain MCP has no words for why a daemon ends. Whether it is stopped or restarted: this shim does not
    /// start another by itself, and joins the next.
    fn take_farewell(&self, close: &Frame<'_>, speech: Speech) {
        if speech == Speech::Mcp && close.payload.starts_with(&GOING_AWAY) {
            lock(&self.state).session.bye(ByeReason::Stop);
        }
    }

    fn pass_message(&self, message: &[u8], out: &mut Vec<u8>) {
        let mut state = lock(&self.state);
        let verdict = state.session.down(message);
        state.unflushed |= verdict == Down::Forward;
        drop(state);
        match verdict {
            Down::Forward if message.len() >= LARGE => {
                self.tell(out);
                out.clear();
                self.tell(message);
                out.push(b'\n');
            }
            Down::Forward => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            Down::Instead(lines) => out.extend_from_slice(&lines),
        }
    }

    fn obey(&self, text: &[u8]) {
        match serde_json::from_slice(text) {
            Ok(FromDaemon::Bye { reason }) => lock(&self.state).session.bye(reason),
            Ok(FromDaemon::Hold { .. }) => lock(&self.state).session.hold(),
            Ok(FromDaemon::Repeatable { tools }) => lock(&self.state).session.repeatable(tools),
            Ok(FromDaemon::Refused { reason } | FromDaemon::Error { reason }) => {
                (self.report)(&format!("the daemon says: {reason}"));
            }
            // Answers to questions we do not ask, and words of a newer daemon.
            Ok(_) | Err(_) => {}
        }
    }

    /// Reading must not wait for writing: while somebody writes, the pong is left to them.
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

    /// Writes to the client.
    fn tell(&self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        self.telling.fetch_add(1, Ordering::Relaxed);
        let mut output = lock(&self.output);
        let told = output.write_all(lines).and_then(|()| output.flush());
        drop(output);
        self.telling.fetch_sub(1, Ordering::Relaxed);
        if told.is_err() {
            lock(&self.state).over = true;
            self.changed.notify_all();
        }
    }

    /// Does what is due at a time, until the end.
    fn keep_time(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            let end = state.input_ended.map(|ended| ended + GRACE);
            let nothing_owed = state.session.idle() && !state.unflushed && state.tried;
            if state.over || end.is_some_and(|end| nothing_owed || now >= end) {
                break;
            }
            let answers = state.session.expire(now);
            if !answers.is_empty() {
                drop(state);
                self.tell(&answers);
                state = lock(&self.state);
                continue;
            }
            let beat = self.feel_pulse(&mut state, now);
            state = match [state.session.deadline(), end, beat].into_iter().flatten().min() {
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        // No daemon is looked for when the link is closed now.
        state.over = true;
        drop(state);
        self.take_leave();
    }

    fn take_leave(&self) {
        // Whoever writes at this moment is blocked; the end of the process is the best leave then.
        let Ok(writer) = self.writer.try_lock() else { return };
        if let Some(stream) = &*writer {
            let mut close = Vec::new();
            frame::put(&mut close, Opcode::Close, b"", stream.speech().key());
            let _ = (&**stream).write_all(&close);
            stream.close();
        }
    }
}

/// A thread that panicked leaves the others the best there is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
