//! Messages that pass while a daemon is there, in both directions.

use std::time::Instant;

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::{Id, limits};

use super::in_flight::{OnLinkLoss, OnSuccess};
use super::listens;
use super::methods;
use super::registering::Registered;
use super::replies::{line_of, outcome_unknown};
use super::state::{LineAction, MessageAction, Phase, Session};
use super::wait_queue::Attempt;
use crate::limits::DAEMON_WAIT_TIMEOUT;
use crate::peek::{self, Peeked};

impl Session {
    /// Decides what to do with a line of the client that is no longer than a message may be. After
    /// [`LineAction::Send`] it counts as written until [`Session::unsent`] says otherwise.
    pub fn accept_line(&mut self, line: &[u8], now: Instant) -> LineAction {
        if let Some(refusal) = self.collision(line).or_else(|| self.too_many_listens(line)) {
            return LineAction::Answer(refusal);
        }
        let passes = match self.phase {
            Phase::Up => self.waiting.is_empty(),
            // Answers to requests of servers must pass, or the servers never finish.
            Phase::Holding | Phase::Leaving(_) => !methods::asks(line),
            Phase::Down { .. } => false,
        };
        if !passes {
            return self.keep(line, now);
        }
        let (mut seen, mut needless) = (false, true);
        peek::peek_each(line, |part, peeked| {
            needless &= self.register(line, part, peeked, Attempt::First, DAEMON_WAIT_TIMEOUT)
                == Registered::Needless;
            seen = true;
        });
        if seen && needless { LineAction::Kept } else { LineAction::Send }
    }

    /// The answer to a line that is longer than a message may be.
    pub fn too_long(id: Option<Id>) -> Vec<u8> {
        let sentence = format!("a message may have {} MiB", limits::MESSAGE_BYTES >> 20);
        let data = FailureData::new(Source::Shim, Failure::RequestTooLarge);
        line_of(&answer::failure(&id.unwrap_or_else(Id::null), &sentence, &data))
    }

    /// Decides what to do with a message of the daemon.
    pub fn accept_message(&mut self, message: &[u8]) -> MessageAction {
        let mut verdict = MessageAction::Forward;
        peek::peek_each(message, |part, peeked| match peeked {
            Peeked::Response { id, good } => {
                let id = Id::from_json(&message[id]);
                if let Some(said) = self.replay.answered(&id, good) {
                    verdict = MessageAction::Instead(said);
                    return;
                }
                let Some((entry, _)) = self.end(&id) else {
                    // No request is under way with the id of a cancelled request. Its answer came too late, and passes.
                    if self.listen_goes_on(&id) {
                        verdict = MessageAction::Instead(Vec::new());
                    }
                    return;
                };
                if entry.on_link_loss == OnLinkLoss::SecondTime && !good && says_unsent(message, part.start) {
                    verdict =
                        MessageAction::Instead(outcome_unknown(&id, entry.tool.as_deref(), entry.count));
                    return;
                }
                if entry.on_link_loss == OnLinkLoss::Initialize {
                    self.replay.opened(&id, message, part.start);
                }
                match entry.on_success {
                    OnSuccess::Level(level) if good => self.replay.level(level),
                    OnSuccess::Subscribe(uri) if good => self.replay.subscribes(uri),
                    OnSuccess::Page(page) if good => {
                        if let Some(result) = peek::find_path(message, part.start, &["result"]) {
                            self.list_cache.keep(page, &message[result]);
                        }
                    }
                    OnSuccess::Level(_)
                    | OnSuccess::Subscribe(_)
                    | OnSuccess::Page(_)
                    | OnSuccess::Nothing => {}
                }
            }
            Peeked::Request { id, .. } => self.server_requests.asked(&message[id]),
            Peeked::Notification { method } => match &*peek::method_name(message, method) {
                b"notifications/progress" if !self.progress.is_empty() => {
                    let token = peek::find_path(message, part.start, &["params", "progressToken"]);
                    let value = || {
                        let at = peek::find_path(message, part.start, &["params", "progress"])?;
                        std::str::from_utf8(&message[at]).ok()?.parse().ok()
                    };
                    if token.is_some_and(|at| !self.progress.passes(&message[at], value)) {
                        verdict = MessageAction::Instead(Vec::new());
                    }
                }
                b"notifications/cancelled" => {
                    let id = peek::find_path(message, part.start, &["params", "requestId"]);
                    let id = id.map(|at| &message[at]);
                    if let Some(id) = id.filter(|id| !self.server_requests.closed(id))
                        && self.listen_goes_on(&Id::from_json(id))
                    {
                        verdict = MessageAction::Instead(Vec::new());
                    }
                }
                b"notifications/subscriptions/acknowledged" => {
                    let filter = peek::find_path(message, part.start, &["params", "notifications"]);
                    let filter = filter.map_or(&b"{}"[..], |at| &message[at]);
                    let Some(id) = listens::listen_of(message, part.start) else { return };
                    if !self.listens.contains(&id) {
                        // It was on its way when the client cancelled the listen.
                        verdict = MessageAction::Instead(Vec::new());
                    } else if let Some(lines) = self.listens.acknowledged(&id, filter) {
                        verdict = MessageAction::Instead(lines);
                    }
                }
                _ => {
                    let id = listens::listen_of(message, part.start);
                    if id.is_some_and(|id| !self.listens.contains(&id)) {
                        verdict = MessageAction::Instead(Vec::new());
                    }
                }
            },
        });
        verdict
    }
}

/// Whether an error claims that nothing was sent. For a request that was sent twice, this is true of the second time
/// only.
fn says_unsent(message: &[u8], start: usize) -> bool {
    peek::find_path(message, start, &["error", "data", "sent"]).is_some_and(|at| &message[at] == b"false")
}
