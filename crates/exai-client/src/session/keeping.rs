//! What cannot be written now, and what was not written whole.

use std::time::Instant;

use exai_proto::Id;
use exai_proto::answer::Failure;

use super::methods::{Method, starts_again};
use super::state::{Phase, Session, Up, Why};
use super::under_way::Fate;
use super::waiting::{Turn, Waiting};
use crate::glance::{self, Glance};
use crate::limits::{DAEMON_WAIT_TIMEOUT, INITIALIZE_WAIT_TIMEOUT};

impl Session {
    /// These lines were to be sent and were not written whole: they go first on the next link. Must be
    /// called before [`Session::lost`] for the link that they were meant for.
    pub fn unsent<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>, now: Instant) {
        let mut back = Vec::new();
        for line in lines {
            glance::each(line, |part, glance| match glance {
                Glance::Request { id, .. } => {
                    // What is not under way was cancelled meanwhile.
                    let Some((entry, heard)) = self.end(&Id::from_json(&line[id])) else { return };
                    let second = entry.fate == Fate::SecondTime;
                    let turn = if second { Turn::Second { heard } } else { Turn::First };
                    back.push(Waiting { line: line[part].to_vec(), until: now + entry.patience, turn });
                }
                Glance::Notification { method } => {
                    if self.outlives_the_link(&line[part.clone()], &glance::name(line, method)) {
                        let until = now + DAEMON_WAIT_TIMEOUT;
                        back.push(Waiting { line: line[part].to_vec(), until, turn: Turn::First });
                    }
                }
                // Whoever asked is gone.
                Glance::Response { .. } => {}
            });
        }
        self.waiting.put_first(back);
    }

    /// Takes in what cannot be written now, each message of a batch for itself.
    pub(super) fn keep(&mut self, line: &[u8], now: Instant) -> Up {
        let wish = starts_again(line);
        let (mut answers, mut seen) = (Vec::new(), false);
        glance::each(line, |part, glance| {
            seen = true;
            let text = &line[part];
            if let Some((failure, sentence)) = self.keep_part(line, text, glance, wish, now) {
                answers.extend_from_slice(&self.answer_alone(text, failure, &sentence));
            }
        });
        // What is no message is the daemon's to answer.
        if !seen && self.waiting.has_room(line.len()) {
            self.waiting.push(Waiting {
                line: line.to_vec(),
                until: now + DAEMON_WAIT_TIMEOUT,
                turn: Turn::First,
            });
        }
        if answers.is_empty() { Up::Kept } else { Up::Answer(answers) }
    }

    fn keep_part(
        &mut self,
        line: &[u8],
        text: &[u8],
        glance: Glance,
        wish: bool,
        now: Instant,
    ) -> Option<(Failure, String)> {
        let mut patience = DAEMON_WAIT_TIMEOUT;
        let waits = match glance {
            // Whoever asked is gone, or about to go.
            Glance::Response { id, .. } => {
                self.questions.closed(&line[id]);
                false
            }
            Glance::Notification { method } => self.outlives_the_link(text, &glance::name(line, method)),
            Glance::Request { method, .. } => {
                if Method::of(&glance::name(line, method)) == Method::Opening {
                    patience = INITIALIZE_WAIT_TIMEOUT;
                }
                match self.phase {
                    Phase::Down { why: Why::Stopped, .. } if wish => {
                        // From here on there is a new beginning.
                        self.phase = Phase::Down { since: now, why: Why::Lost };
                    }
                    Phase::Down { why: Why::Stopped | Why::Hopeless, .. } => {
                        return Some((Failure::DaemonUnavailable, self.no_daemon()));
                    }
                    Phase::Down { since, why: Why::Lost }
                        if now.duration_since(since) >= DAEMON_WAIT_TIMEOUT =>
                    {
                        return Some((Failure::DaemonUnavailable, self.no_daemon()));
                    }
                    Phase::Down { why: Why::Lost, .. } | Phase::Up | Phase::Holding | Phase::Leaving(_) => {}
                }
                if !self.waiting.has_room(text.len()) {
                    let sentence = "too many requests wait for the exai daemon".to_owned();
                    return Some((Failure::Overloaded, sentence));
                }
                true
            }
        };
        if waits && self.waiting.has_room(text.len()) {
            let until = now + patience;
            self.waiting.push(Waiting { line: text.to_vec(), until, turn: Turn::First });
        }
        None
    }

    /// Whether a notification that was not written means anything to the next daemon.
    fn outlives_the_link(&mut self, text: &[u8], method: &[u8]) -> bool {
        match method {
            b"notifications/initialized" => !self.memory.confirms(text),
            b"notifications/cancelled" => {
                self.cancel(text);
                false
            }
            // On a question of a daemon that is gone.
            b"notifications/progress" => false,
            _ => true,
        }
    }
}
