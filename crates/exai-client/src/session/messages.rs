//! Messages that pass while a daemon is there, in both directions.

use std::time::Instant;

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::{Id, limits};

use super::booking::Booked;
use super::methods;
use super::replies::{line_of, outcome_unknown};
use super::state::{Down, Phase, Session, Up};
use super::under_way::{Effect, Fate};
use super::waiting::Turn;
use crate::glance::{self, Glance};
use crate::limits::DAEMON_WAIT_TIMEOUT;

impl Session {
    /// A line of the client, which is no longer than a message may be. After [`Up::Send`] it counts as
    /// written until [`Session::unsent`] says otherwise.
    pub fn up(&mut self, line: &[u8], now: Instant) -> Up {
        if let Some(refusal) = self.collision(line) {
            return Up::Answer(refusal);
        }
        let passes = match self.phase {
            Phase::Up => self.waiting.is_empty(),
            // What servers asked must be answered, or they never get done.
            Phase::Holding | Phase::Leaving(_) => !methods::asks(line),
            Phase::Down { .. } => false,
        };
        if !passes {
            return self.keep(line, now);
        }
        let (mut seen, mut needless) = (false, true);
        glance::each(line, |part, glance| {
            needless &=
                self.register(line, part, glance, Turn::First, DAEMON_WAIT_TIMEOUT) == Booked::Needless;
            seen = true;
        });
        if seen && needless { Up::Kept } else { Up::Send }
    }

    /// The answer to a line that is longer than a message may be.
    pub fn too_long(id: Option<Id>) -> Vec<u8> {
        let sentence = format!("a message may have {} MiB", limits::MESSAGE_BYTES >> 20);
        let data = FailureData::new(Source::Shim, Failure::RequestTooLarge);
        line_of(&answer::failure(&id.unwrap_or_else(Id::null), &sentence, &data))
    }

    /// A message of the daemon.
    pub fn down(&mut self, message: &[u8]) -> Down {
        let mut verdict = Down::Forward;
        glance::each(message, |part, glance| match glance {
            Glance::Response { id, good } => {
                let id = Id::from_json(&message[id]);
                if let Some(said) = self.memory.answered(&id, good) {
                    verdict = Down::Instead(said);
                    return;
                }
                // Nothing is under way under the id of a cancelled request: its answer came too late, and passes.
                let Some((entry, _)) = self.end(&id) else { return };
                if entry.fate == Fate::SecondTime && !good && says_unsent(message, part.start) {
                    verdict = Down::Instead(outcome_unknown(&id, entry.tool.as_deref(), entry.count));
                    return;
                }
                if entry.fate == Fate::Opening {
                    self.memory.opened(&id, message, part.start);
                }
                match entry.effect {
                    Effect::Level(level) if good => self.memory.level(level),
                    Effect::Subscribe(uri) if good => self.memory.subscribes(uri),
                    Effect::Page(page) if good => {
                        if let Some(result) = glance::seek(message, part.start, &["result"]) {
                            self.copies.keep(page, &message[result]);
                        }
                    }
                    Effect::Level(_) | Effect::Subscribe(_) | Effect::Page(_) | Effect::Nothing => {}
                }
            }
            Glance::Request { id, .. } => self.questions.asked(&message[id]),
            Glance::Notification { method } => match &*glance::name(message, method) {
                b"notifications/progress" if !self.progress.is_empty() => {
                    let token = glance::seek(message, part.start, &["params", "progressToken"]);
                    let value = || {
                        let at = glance::seek(message, part.start, &["params", "progress"])?;
                        std::str::from_utf8(&message[at]).ok()?.parse().ok()
                    };
                    if token.is_some_and(|at| !self.progress.passes(&message[at], value)) {
                        verdict = Down::Instead(Vec::new());
                    }
                }
                b"notifications/cancelled" => {
                    if let Some(id) = glance::seek(message, part.start, &["params", "requestId"]) {
                        self.questions.closed(&message[id]);
                    }
                }
                _ => {}
            },
        });
        verdict
    }
}

/// Whether an error claims that nothing was sent. Of what was asked again that is true of the second time only.
fn says_unsent(message: &[u8], start: usize) -> bool {
    glance::seek(message, start, &["error", "data", "sent"]).is_some_and(|at| &message[at] == b"false")
}
