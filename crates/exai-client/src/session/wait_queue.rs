//! The messages that wait for a daemon, in order, each with the time when it expires.

use std::collections::VecDeque;
use std::time::Instant;

use exai_proto::Id;

use crate::limits::{MAX_WAITING, MAX_WAITING_BYTES};
use crate::peek::{self, Peeked};

/// How often a message has been written before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Attempt {
    /// Never: no daemon has it.
    First,
    /// Once, to a daemon that went away. `heard` is the progress that the client knows.
    Second { heard: f64 },
}

/// One message.
#[derive(Debug)]
pub(super) struct WaitingMessage {
    pub(super) line: Vec<u8>,
    pub(super) until: Instant,
    pub(super) attempt: Attempt,
}

/// The waiting messages, bounded.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    all: VecDeque<WaitingMessage>,
    bytes: usize,
}

impl WaitQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &WaitingMessage> {
        self.all.iter()
    }

    /// Whether a client may add so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.all.len() < MAX_WAITING && self.bytes + bytes <= MAX_WAITING_BYTES
    }

    pub(super) fn push(&mut self, waiting: WaitingMessage) {
        self.bytes += waiting.line.len();
        self.all.push_back(waiting);
    }

    /// Puts these before all others, in their order. There is always room, since they had been accepted before.
    pub(super) fn put_first(&mut self, messages: Vec<WaitingMessage>) {
        for waiting in messages.into_iter().rev() {
            self.bytes += waiting.line.len();
            self.all.push_front(waiting);
        }
    }

    /// Removes the request with this id. Returns whether there was one. `initialize` cannot be cancelled.
    pub(super) fn cancel(&mut self, unwanted: &[u8]) -> bool {
        let unwanted = Id::from_json(unwanted);
        let found = self.all.iter().position(|waiting| match peek::peek_at(&waiting.line, 0) {
            Some(Peeked::Request { id, method }) => {
                Id::from_json(&waiting.line[id]) == unwanted
                    && *peek::method_name(&waiting.line, method) != *b"initialize"
            }
            Some(Peeked::Notification { .. } | Peeked::Response { .. }) | None => false,
        });
        let removed = found.and_then(|at| self.all.remove(at));
        self.bytes -= removed.as_ref().map_or(0, |waiting| waiting.line.len());
        removed.is_some()
    }

    /// When the first message expires.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.all.iter().map(|waiting| waiting.until).min()
    }

    pub(super) fn take_all(&mut self) -> VecDeque<WaitingMessage> {
        self.bytes = 0;
        std::mem::take(&mut self.all)
    }

    /// Takes the messages that have expired.
    pub(super) fn take_due(&mut self, now: Instant) -> VecDeque<WaitingMessage> {
        if self.earliest().is_none_or(|earliest| now < earliest) {
            return VecDeque::new();
        }
        let (due, rest): (VecDeque<_>, VecDeque<_>) =
            self.take_all().into_iter().partition(|waiting| waiting.until <= now);
        self.bytes = rest.iter().map(|waiting| waiting.line.len()).sum();
        self.all = rest;
        due
    }
}
