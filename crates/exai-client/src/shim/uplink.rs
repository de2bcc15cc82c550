//! From the client to the daemon: reads stdin and writes all complete lines of one read at once.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::time::Instant;

use super::outgoing::Outgoing;
use super::shared::{Shim, lock};
use crate::lines::{Line, Lines};
use crate::session::{LineAction, Session};

impl<W: Write + Send + 'static> Shim<W> {
    /// Runs until the input ends.
    pub(super) fn uplink(&self, mut input: impl Read) {
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
            self.send_lines(&mut lines, ended, &mut outgoing);
            if ended {
                break;
            }
        }
        lock(&self.state).input_ended = Some(Instant::now());
        self.changed.notify_all();
    }

    fn send_lines(&self, lines: &mut Lines, ended: bool, outgoing: &mut Outgoing) {
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
                match state.session.accept_line(line, now) {
                    LineAction::Send => sending.push(line),
                    LineAction::Kept => kept = true,
                    LineAction::Answer(answer) => {
                        kept = true;
                        answers.extend_from_slice(&answer);
                    }
                }
            }
            // The timekeeper sleeps while nothing is owed. It is woken before the write, since the write may block.
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
        self.write_output(&answers);
    }
}
