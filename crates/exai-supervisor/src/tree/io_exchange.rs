//! Which process did the input and output of a request and its answer.

use exai_os::process::{self, ProcessInfo};
use exai_os::process_facts::{IoCounters, io_counters};

use crate::limits::BUSY_FACTOR;
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
    /// The bytes of the request.
    pub sent: u64,
    /// The bytes of its answer alone.
    pub answered: u64,
    /// By how much each member's counters moved: `io` is the difference.
    pub moved: Vec<Count>,
    /// Whether a member ended meanwhile and took its counters with it: then the exchange tells nothing.
    pub lost: bool,
}

/// The part of a member in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It read less than the request.
    Nothing,
    /// It read the request and not the answer, and wrote as much as the answer, as a server does.
    Answered {
        /// It wrote as much as the request, too. It may log what it reads, or pass it on one way.
        and_more: bool,
    },
    /// It read the request and its answer, and wrote as much, as a relay does.
    Forwarded,
    /// It did more, and it is not known how much of that was the exchange; or it read as much as the request and
    /// wrote less than the answer.
    Other,
}

impl Exchange {
    /// The exchange between two counts. `before` was taken before the request was handed to the tree, `after` when
    /// its answer was there. A process that is only in `after` has counted from zero.
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

    /// Whether this exchange can tell a server from a relay.
    pub fn is_telling(&self) -> bool {
        !self.lost && self.sent > 0 && self.answered > 0
    }

    /// Whether the counters of any member show that it read the request. If not, the counters say nothing: Wine has
    /// some that never move.
    pub(super) fn was_read(&self) -> bool {
        self.moved.iter().any(|moved| moved.io.read >= self.sent)
    }

    /// The part of this process; `None` when it was not counted.
    pub fn part(&self, process: &ProcessInfo) -> Option<Part> {
        let both = self.sent.saturating_add(self.answered);
        self.moved_by(process).map(|io| {
            if io.read < self.sent {
                Part::Nothing
            } else if io.read >= both.saturating_mul(BUSY_FACTOR) {
                Part::Other
            } else if io.read >= both && io.written >= both {
                Part::Forwarded
            } else if io.read < both && io.written >= self.answered {
                Part::Answered { and_more: io.written >= self.sent }
            } else {
                Part::Other
            }
        })
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
    }

    #[test]
    fn who_has_read_the_answer_has_not_given_it() {
        let process = |pid| ProcessInfo {
            pid,
            ppid: 1,
            pgid: 0,
            name: String::new(),
            start: 5,
            rss_bytes: 0,
            zombie: false,
        };
        let cases = [
            (0, 0, Part::Nothing),
            (39, 500, Part::Nothing),
            (48, 36, Part::Answered { and_more: false }),
            (48, 300, Part::Answered { and_more: true }),
            (76, 76, Part::Forwarded),
            (80, 36, Part::Other),
            (48, 20, Part::Other),
            (5_000, 5_000, Part::Other),
        ];
        for (read, written, expected) in cases {
            let exchange =
                Exchange { sent: 40, answered: 36, moved: vec![at(1, 5, read, written)], lost: false };
            assert_eq!(exchange.part(&process(1)), Some(expected), "{read} {written}");
            assert_eq!(exchange.part(&process(2)), None);
        }
    }
}
