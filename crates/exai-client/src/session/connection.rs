//! A link is there, or gone: what is written to a new daemon first, and what becomes of what a lost one had.

use std::collections::HashSet;
use std::time::Instant;

use exai_proto::link::ByeReason;
use exai_proto::{Id, answer};

use super::methods::starts_again;
use super::progress;
use super::replies::{line_of, outcome_unknown};
use super::state::{Phase, Session, Why};
use super::under_way::{Effect, Fate};
use super::waiting::{Turn, Waiting};
use crate::glance::{self, Glance};

impl Session {
    /// A daemon is there. What must be written to it before anything else, if anything.
    pub fn connected(&mut self) -> Vec<Vec<u8>> {
        self.phase = Phase::Up;
        self.trouble.clear();
        let waiting = self.waiting.iter().filter_map(|waiting| match glance::at(&waiting.line, 0) {
            Some(Glance::Request { id, .. }) => Some(Id::from_json(&waiting.line[id])),
            Some(Glance::Notification { .. } | Glance::Response { .. }) | None => None,
        });
        let taken: HashSet<Id> = waiting.collect();
        self.memory.replay(|id| taken.contains(id) || self.under_way.contains(id))
    }

    /// What waits and can be written now; it counts as written from here on.
    pub fn take_waiting(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if !matches!(self.phase, Phase::Up) {
            return Vec::new();
        }
        let waiting = self.waiting.take_all();
        for Waiting { line, until, turn } in &waiting {
            let patience = until.saturating_duration_since(now);
            glance::each(line, |part, glance| {
                self.register(line, part, glance, *turn, patience);
            });
        }
        waiting.into_iter().map(|waiting| waiting.line).collect()
    }

    /// The link is gone. What to tell the client (lines): one answer to each request that was under way and cannot
    /// be asked again, and that nobody waits for its own answers.
    pub fn lost(&mut self, now: Instant) -> Vec<u8> {
        let stopped = matches!(self.phase, Phase::Leaving(ByeReason::Stop));
        let (mut lines, mut again) = (self.questions.lost(), Vec::new());
        for (id, entry) in self.under_way.take_all() {
            let repeatable = entry.tool.as_deref().is_none_or(|tool| self.repeatable.contains(tool));
            let heard = entry.token.as_ref().map_or(progress::NONE, |token| self.progress.end(token));
            let repeated = match entry.fate {
                Fate::Opening => self.memory.unanswered(&id).map(|line| (line, Turn::First)),
                // What a person has stopped is not begun again by itself.
                Fate::Again(line) if repeatable && !stopped => Some((line, Turn::Second { heard })),
                Fate::Again(_) | Fate::Once | Fate::SecondTime => None,
            };
            if let Some((line, turn)) = repeated {
                again.push(Waiting { line, until: now + entry.patience, turn });
                continue;
            }
            if let Effect::Page(page) = &entry.effect
                && let Some(result) = self.copies.get(page)
            {
                lines.extend_from_slice(&line_of(&answer::result(&id, result)));
                continue;
            }
            lines.extend_from_slice(&outcome_unknown(&id, entry.tool.as_deref(), entry.count));
        }
        self.waiting.put_first(again);
        self.repeatable.clear();
        self.memory.lost();
        let wish = self.waiting.iter().any(|waiting| starts_again(&waiting.line));
        let why = if stopped && !wish { Why::Stopped } else { Why::Lost };
        self.phase = Phase::Down { since: now, why };
        lines
    }
}
