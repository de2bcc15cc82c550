//! Who did the input and output of a request and its answer.

use exai_os::evidence::{IoCounters, io_counters};
use exai_os::process::{self, ProcessInfo};

/// How much a member had read and written at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Its process id.
    pub pid: u32,
    /// Its start time, as in [`exai_os::process::Identity::start`].
    pub start: u64,
    /// Its counters.
    pub io: IoCounters,
}

/// Counts each member that still lives, where the system tells.
///
/// The kernel counts a write only after it has woken the reader: a count in the very moment of an answer may
/// lack it. An exchange that leaves the server [presumed](super::Role::Server) deserves a second look at the
/// counters, some milliseconds later.
pub fn count(members: &[ProcessInfo]) -> Vec<Count> {
    let living = |member: &&ProcessInfo| {
        let now = process::identify(member.pid).ok().flatten();
        now.is_some_and(|now| now.start == member.start)
    };
    let counted = |member: &ProcessInfo| {
        let io = io_counters(member.pid).ok()?;
        Some(Count { pid: member.pid, start: member.start, io })
    };
    members.iter().filter(living).filter_map(counted).collect()
}

/// A request, its answer, and what the counters of a tree's members say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The bytes of the padded request.
    pub sent: u64,
    /// The bytes of its answer alone. Less than half of `sent`, or the exchange tells nothing.
    pub answered: u64,
    /// By how much each member's counters moved: `io` is the difference.
    pub moved: Vec<Count>,
    /// A member ended meanwhile, and its share went with it: the exchange tells nothing.
    pub lost: bool,
}

/// What a member had to do with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It read less than the request.
    Nothing,
    /// It read the request and wrote an answer, but not the request again: what a server does.
    Answered,
    /// It read the request and wrote as much: what a relay does, or a server that logs each message.
    Forwarded,
    /// It read as much as the request and wrote less than the answer: nothing that we know.
    Other,
}

impl Exchange {
    /// What happened between two counts. `before` was taken before the request was handed to the tree,
    /// `after` when its answer was there. A process that is only in `after` has counted from zero.
    pub fn between(before: &[Count], after: &[Count], sent: u64, answered: u64) -> Self {
        let same = |a: &Count, b: &Count| (a.pid, a.start) == (b.pid, b.start);
        let moved = after.iter().map(|now| {
            let was = before.iter().find(|was| same(was, now)).map_or(IoCounters::default(), |was| was.io);
            let read = now.io.read.saturating_sub(was.read);
            let written = now.io.written.saturating_sub(was.written);
            Count { io: IoCounters { read, written }, ..*now }
        });
        let lost = before.iter().any(|was| !after.iter().any(|now| same(was, now)));
        Self { sent, answered, moved: moved.collect(), lost }
    }

    /// Whether it can tell a server from a relay at all.
    pub fn is_telling(&self) -> bool {
        !self.lost && self.sent / 2 > self.answered
    }

    /// Whether any member was counted to have read it. If none was the counters say nothing of anybody: Wine has some
    /// that never move.
    pub(super) fn was_read(&self) -> bool {
        self.moved.iter().any(|moved| moved.io.read >= self.sent)
    }

    /// The part of this process; `None` when it was not counted.
    pub fn part(&self, process: &ProcessInfo) -> Option<Part> {
        self.moved_by(process).map(|io| {
            if io.read < self.sent {
                Part::Nothing
            } else if io.written >= self.sent {
                Part::Forwarded
            } else if io.written >= self.answered {
                Part::Answered
            } else {
                Part::Other
            }
        })
    }

    /// Whether what this process read has room for the answer, too: it may pass answers back to us.
    pub(super) fn read_the_answer(&self, process: &ProcessInfo) -> bool {
        self.moved_by(process).is_some_and(|io| io.read >= self.sent.saturating_add(self.answered))
    }

    fn moved_by(&self, process: &ProcessInfo) -> Option<IoCounters> {
        let is = |moved: &&Count| (moved.pid, moved.start) == (process.pid, process.start);
        self.moved.iter().find(is).map(|moved| moved.io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(pid: u32, start: u64, read: u64, written: u64) -> Count {
        Count { pid, start, io: IoCounters { read, written } }
    }

    #[test]
    fn differences_belong_to_the_same_process() {
        let before = [at(1, 5, 100, 10), at(2, 5, 100, 10)];
        let after = [at(1, 5, 1_100, 60), at(2, 9, 1_000, 50)];
        let exchange = Exchange::between(&before, &after, 1_000, 50);
        assert_eq!(exchange.moved, [at(1, 5, 1_000, 50), at(2, 9, 1_000, 50)]);
        assert!(exchange.lost && !exchange.is_telling(), "2 was somebody else before");
        let exchange = Exchange::between(&before[..1], &after, 1_000, 50);
        assert!(exchange.is_telling());
        assert!(!Exchange::between(&before[..1], &after, 1_000, 500).is_telling(), "too long an answer");
    }
}
