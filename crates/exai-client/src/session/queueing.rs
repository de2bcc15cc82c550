//! Messages that cannot be written now, or were not written whole.

use std::time::Instant;

use exai_proto::Id;
use exai_proto::answer::Failure;

use super::in_flight::OnLinkLoss;
use super::listens::ListenState;
use super::methods::{Method, starts_again};
use super::state::{DownReason, LineAction, Phase, Session};
use super::wait_queue::{Attempt, WaitingMessage};
use crate::limits::{DAEMON_WAIT_TIMEOUT, INITIALIZE_WAIT_TIMEOUT};
use crate::peek::{self, Peeked};

impl Session {
    /// Takes back lines that should have been sent and were not written whole: they go first on the next link. Must
    /// be called before [`Session::link_lost`] for the link that they were meant for.
    pub fn unsent<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>, now: Instant) {
        let mut back = Vec::new();
        for line in lines {
            peek::peek_each(line, |part, peeked| match peeked {
                Peeked::Request { id, .. } => {
                    let id = Id::from_json(&line[id]);
                    if self.listens.is_open(&id, &line[part.clone()]) {
                        return;
                    }
                    // A request that is not under way was cancelled meanwhile.
                    let Some((entry, heard)) = self.end(&id) else { return };
                    let second = entry.on_link_loss == OnLinkLoss::SecondTime;
                    let attempt = if second { Attempt::Second { heard } } else { Attempt::First };
                    back.push(WaitingMessage {
                        line: line[part].to_vec(),
                        until: now + entry.time_left,
                        attempt,
                    });
                }
                Peeked::Notification { method } => {
                    if self.outlives_the_link(&line[part.clone()], &peek::method_name(line, method)) {
                        let until = now + DAEMON_WAIT_TIMEOUT;
                        back.push(WaitingMessage {
                            line: line[part].to_vec(),
                            until,
                            attempt: Attempt::First,
                        });
                    }
                }
                // The server's request is void with the old daemon.
                Peeked::Response { .. } => {}
            });
        }
        self.waiting.put_first(back);
    }

    /// Queues a line that cannot be written now, each message of a batch by itself.
    pub(super) fn keep(&mut self, line: &[u8], now: Instant) -> LineAction {
        let wish = starts_again(line);
        let (mut answers, mut seen) = (Vec::new(), false);
        peek::peek_each(line, |part, peeked| {
            seen = true;
            let text = &line[part];
            if let Some((failure, sentence)) = self.keep_part(line, text, peeked, wish, now) {
                answers.extend_from_slice(&self.answer_alone(text, failure, &sentence));
            }
        });
        // The daemon answers a line that is no message.
        if !seen && self.waiting.has_room(line.len()) {
            self.waiting.push(WaitingMessage {
                line: line.to_vec(),
                until: now + DAEMON_WAIT_TIMEOUT,
                attempt: Attempt::First,
            });
        }
        if answers.is_empty() { LineAction::Kept } else { LineAction::Answer(answers) }
    }

    fn keep_part(
        &mut self,
        line: &[u8],
        text: &[u8],
        peeked: Peeked,
        wish: bool,
        now: Instant,
    ) -> Option<(Failure, String)> {
        let mut time_left = DAEMON_WAIT_TIMEOUT;
        let waits = match peeked {
            // The server's request is void, or soon will be.
            Peeked::Response { id, .. } => {
                self.server_requests.closed(&line[id]);
                false
            }
            Peeked::Notification { method } => self.outlives_the_link(text, &peek::method_name(line, method)),
            Peeked::Request { id, method } => {
                let method = peek::method_name(line, method);
                if self.listen(&Id::from_json(&line[id]), text, &method, ListenState::Waiting) {
                    return None;
                }
                if Method::of(&method) == Method::Initialize {
                    time_left = INITIALIZE_WAIT_TIMEOUT;
                }
                match self.phase {
                    Phase::Down { why: DownReason::Stopped, .. } if wish => {
                        // The wait for a daemon begins now.
                        self.phase = Phase::Down { since: now, why: DownReason::Lost };
                    }
                    Phase::Down { why: DownReason::Stopped | DownReason::Hopeless, .. } => {
                        return Some((Failure::DaemonUnavailable, self.no_daemon()));
                    }
                    Phase::Down { since, why: DownReason::Lost }
                        if now.duration_since(since) >= DAEMON_WAIT_TIMEOUT =>
                    {
                        return Some((Failure::DaemonUnavailable, self.no_daemon()));
                    }
                    Phase::Down { why: DownReason::Lost, .. }
                    | Phase::Up
                    | Phase::Holding
                    | Phase::Leaving(_) => {}
                }
                if !self.waiting.has_room(text.len()) {
                    let sentence = "too many requests wait for the exai daemon".to_owned();
                    return Some((Failure::Overloaded, sentence));
                }
                true
            }
        };
        if waits && self.waiting.has_room(text.len()) {
            let until = now + time_left;
            self.waiting.push(WaitingMessage { line: text.to_vec(), until, attempt: Attempt::First });
        }
        None
    }

    /// Whether the next daemon needs a notification that was not written.
    fn outlives_the_link(&mut self, text: &[u8], method: &[u8]) -> bool {
        match method {
            b"notifications/initialized" => !self.replay.confirms(text),
            b"notifications/cancelled" => {
                self.cancel(text);
                false
            }
            // It belongs to a request of the old daemon.
            b"notifications/progress" => false,
            _ => true,
        }
    }
}
