//! What the client is told while no daemon can answer: what is known, or why there is no answer.

use std::time::Instant;

use exai_proto::Id;
use exai_proto::answer::{self, Failure};

use super::copies::Page;
use super::methods::Method;
use super::replies::{failures, line_of};
use super::state::{Phase, Session, Why};
use super::waiting::{Turn, Waiting};
use crate::glance::{self, Glance};

impl Session {
    /// What to tell the client (lines) because it has waited for long enough.
    pub fn expire(&mut self, now: Instant) -> Vec<u8> {
        let due = match self.phase {
            Phase::Down { why: Why::Stopped | Why::Hopeless, .. } => self.waiting.take_all(),
            Phase::Down { why: Why::Lost, .. } | Phase::Up | Phase::Holding | Phase::Leaving(_) => {
                self.waiting.take_due(now)
            }
        };
        let mut lines = Vec::new();
        for Waiting { line, turn, .. } in due {
            let (failure, sentence) = match turn {
                Turn::First => (Failure::DaemonUnavailable, self.no_daemon()),
                Turn::Second { .. } => {
                    let now = self.no_daemon();
                    (
                        Failure::OutcomeUnknown,
                        format!("a daemon went away while it worked on this, and now {now}"),
                    )
                }
            };
            lines.extend_from_slice(&self.answer_alone(&line, failure, &sentence));
        }
        lines
    }

    /// Answers a message without a daemon: what is known is told, and the rest is refused.
    pub(super) fn answer_alone(&mut self, text: &[u8], failure: Failure, sentence: &str) -> Vec<u8> {
        let (id, method) = match glance::at(text, 0) {
            Some(Glance::Request { id, method }) => (Id::from_json(&text[id]), glance::name(text, method)),
            Some(Glance::Notification { method }) => {
                if *glance::name(text, method) == *b"notifications/initialized" {
                    self.memory.confirms(text);
                }
                return Vec::new();
            }
            Some(Glance::Response { .. }) | None => return Vec::new(),
        };
        let known = match Method::of(&method) {
            // There may be a daemon.
            _ if failure == Failure::Overloaded => None,
            Method::Opening => Some(self.memory.introduce(id.clone(), text, sentence)),
            Method::List(list) => {
                // Another list may be there later, and the client must hear of it.
                self.memory.lists(list);
                self.copies.get(&Page::of(&method, text)).map(<[u8]>::to_vec)
            }
            Method::Harmless
            | Method::Call
            | Method::Level
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Other => None,
        };
        match known {
            Some(result) => line_of(&answer::result(&id, &result)),
            None => failures(text, failure, sentence),
        }
    }
}
