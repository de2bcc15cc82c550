//! A link is opened or lost: what a new daemon is told first, and what happens to the requests of a lost daemon.

use std::collections::HashSet;
use std::time::Instant;

use exai_proto::link::ByeReason;
use exai_proto::{Id, answer};

use super::in_flight::{OnLinkLoss, OnSuccess};
use super::methods::starts_again;
use super::progress;
use super::replies::{line_of, outcome_unknown};
use super::state::{DownReason, Phase, Session};
use super::wait_queue::{Attempt, WaitingMessage};
use crate::peek::{self, Peeked};

impl Session {
    /// A daemon is there. Returns what must be written to it before anything else.
    pub fn link_opened(&mut self) -> Vec<Vec<u8>> {
        self.phase = Phase::Up;
        self.trouble.clear();
        let waiting = self.waiting.iter().filter_map(|waiting| match peek::peek_at(&waiting.line, 0) {
            Some(Peeked::Request { id, .. }) => Some(Id::from_json(&waiting.line[id])),
            Some(Peeked::Notification { .. } | Peeked::Response { .. }) | None => None,
        });
        let taken: HashSet<Id> = waiting.collect();
        let (listens, in_flight) = (&self.listens, &self.in_flight);
        let mut lines =
            self.replay.replay(|id| taken.contains(id) || in_flight.contains(id) || listens.contains(id));
        lines.extend(self.listens.replay());
        lines
    }

    /// The waiting messages that can be written now. They count as written from here on.
    pub fn take_waiting(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if !matches!(self.phase, Phase::Up) {
            return Vec::new();
        }
        let waiting = self.waiting.take_all();
        for WaitingMessage { line, until, attempt } in &waiting {
            let time_left = until.saturating_duration_since(now);
            peek::peek_each(line, |part, peeked| {
                self.register(line, part, peeked, *attempt, time_left);
            });
        }
        waiting.into_iter().map(|waiting| waiting.line).collect()
    }

    /// The link is gone. Returns the lines to tell the client: an answer to each request that was under way and
    /// cannot be sent again, and the cancellation of each open request of a server.
    pub fn link_lost(&mut self, now: Instant) -> Vec<u8> {
        let stopped = matches!(self.phase, Phase::Leaving(ByeReason::Stop));
        let (mut lines, mut again) = (self.server_requests.lost(), Vec::new());
        for (id, entry) in self.in_flight.take_all() {
            let repeatable = entry.tool.as_deref().is_none_or(|tool| self.repeatable.contains(tool));
            let heard = entry.token.as_ref().map_or(progress::NONE, |token| self.progress.end(token));
            let repeated = match entry.on_link_loss {
                OnLinkLoss::Initialize => self.replay.unanswered(&id).map(|line| (line, Attempt::First)),
                // A daemon that a person has stopped is not started again by an old request.
                OnLinkLoss::Again(line) if repeatable && !stopped => Some((line, Attempt::Second { heard })),
                OnLinkLoss::Again(_) | OnLinkLoss::Once | OnLinkLoss::SecondTime => None,
            };
            if let Some((line, attempt)) = repeated {
                again.push(WaitingMessage { line, until: now + entry.time_left, attempt });
                continue;
            }
            if let OnSuccess::Page(page) = &entry.on_success
                && let Some(result) = self.list_cache.get(page)
            {
                lines.extend_from_slice(&line_of(&answer::result(&id, &result)));
                continue;
            }
            lines.extend_from_slice(&outcome_unknown(&id, entry.tool.as_deref(), entry.count));
        }
        self.waiting.put_first(again);
        self.repeatable.clear();
        self.replay.lost();
        let wish = self.waiting.iter().any(|waiting| starts_again(&waiting.line));
        let why = if stopped && !wish { DownReason::Stopped } else { DownReason::Lost };
        self.phase = Phase::Down { since: now, why };
        lines
    }
}
