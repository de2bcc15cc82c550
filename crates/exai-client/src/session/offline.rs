//! Answers while no daemon can answer: from memory, or with the reason.

use std::borrow::Cow;
use std::time::Instant;

use exai_proto::Id;
use exai_proto::answer::{self, Failure};

use super::list_cache::Page;
use super::methods::Method;
use super::replies::{failures, line_of};
use super::state::{DownReason, Phase, Session};
use super::wait_queue::{Attempt, WaitingMessage};
use crate::peek::{self, Peeked};

impl Session {
    /// The lines to tell the client about requests that have waited long enough.
    pub fn expire(&mut self, now: Instant) -> Vec<u8> {
        let due = match self.phase {
            Phase::Down { why: DownReason::Stopped | DownReason::Hopeless, .. } => self.waiting.take_all(),
            Phase::Down { why: DownReason::Lost, .. } | Phase::Up | Phase::Holding | Phase::Leaving(_) => {
                self.waiting.take_due(now)
            }
        };
        let mut lines = Vec::new();
        for WaitingMessage { line, attempt, .. } in due {
            let (failure, sentence) = match attempt {
                Attempt::First => (Failure::DaemonUnavailable, self.no_daemon()),
                Attempt::Second { .. } => {
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

    /// Answers a message without a daemon: from memory where possible, else with this failure.
    pub(super) fn answer_alone(&mut self, text: &[u8], failure: Failure, sentence: &str) -> Vec<u8> {
        let (id, method) = match peek::peek_at(text, 0) {
            Some(Peeked::Request { id, method }) => {
                (Id::from_json(&text[id]), peek::method_name(text, method))
            }
            Some(Peeked::Notification { method }) => {
                if *peek::method_name(text, method) == *b"notifications/initialized" {
                    self.replay.confirms(text);
                }
                return Vec::new();
            }
            Some(Peeked::Response { .. }) | None => return Vec::new(),
        };
        let known = match Method::of(&method) {
            // An overloaded shim may have a daemon, so memory must not answer for it.
            _ if failure == Failure::Overloaded => None,
            Method::Initialize => Some(self.replay.introduce(id.clone(), text, sentence)),
            asked @ (Method::Discover | Method::List(_)) => {
                // The next daemon may have another list, and the client must hear of it.
                self.note_list(asked, text);
                self.list_cache.get(&Page::of(&method, text)).map(Cow::into_owned)
            }
            Method::Harmless
            | Method::Call
            | Method::Level
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Listen
            | Method::Other => None,
        };
        match known {
            Some(result) => line_of(&answer::result(&id, &result)),
            None => failures(text, failure, sentence),
        }
    }
}
