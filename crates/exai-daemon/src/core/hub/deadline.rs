//! The next deadline of the loop. At rest the loop sleeps until then.
//!
//! An event may bring an earlier deadline. To find the first one takes a pass over everything under way, so a busy loop
//! searches at most once in each [`SEARCH_INTERVAL`], and a loop that was at rest searches at once.
//!
//! Some deadlines are "a while from now" at each search. So a deadline that was found stays until it is reached, whatever a
//! later search finds: a busy loop would never reach it otherwise.

use std::time::{Duration, Instant};

/// How long a busy loop waits between two searches, and so by how much it may miss a new deadline.
const SEARCH_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct NextDeadline {
    at: Option<Instant>,
    /// When `at` was found.
    settled_at: Instant,
    /// An event came since then.
    unsettled: bool,
}

impl NextDeadline {
    /// No deadline is known yet: the first search is due now.
    pub(super) fn new(now: Instant) -> Self {
        NextDeadline { at: Some(now), settled_at: now, unsettled: true }
    }

    /// Notes that an event came.
    pub(super) fn unsettle(&mut self) {
        self.unsettled = true;
    }

    /// Whether the loop must search for the next deadline now.
    pub(super) fn needs_settling(&self, now: Instant) -> bool {
        self.unsettled && now >= self.settled_at + SEARCH_INTERVAL
    }

    /// Takes the deadline that a search found. An earlier one that was found before stays.
    pub(super) fn settle(&mut self, at: Option<Instant>, now: Instant) {
        let at = self.at.into_iter().chain(at).min();
        *self = NextDeadline { at, settled_at: now, unsettled: false };
    }

    /// When the loop must wake if no event comes before.
    pub(super) fn next(&self) -> Option<Instant> {
        let settling = self.unsettled.then(|| self.settled_at + SEARCH_INTERVAL);
        self.at.into_iter().chain(settling).min()
    }

    /// Whether the deadline is reached. Says so once for each deadline.
    pub(super) fn is_reached(&mut self, now: Instant) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_rest_the_loop_wakes_for_the_first_deadline_and_for_nothing_else() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut due = NextDeadline::new(start);
        assert!(due.is_reached(start) && !due.is_reached(start), "it begins with a look");
        assert!(due.needs_settling(after(50)));
        due.settle(Some(after(10_000)), after(50));
        assert_eq!(due.next(), Some(after(10_000)));
        assert!(!due.needs_settling(after(9000)), "nothing happened");
        // An event after a rest needs settling at once.
        due.unsettle();
        assert!(due.needs_settling(after(9000)));
        due.settle(None, after(9000));
        assert_eq!(
            due.next(),
            Some(after(10_000)),
            "it costs one wake though there is no need of it any more"
        );
        assert!(due.is_reached(after(10_000)));
        due.settle(None, after(10_000));
        assert_eq!(due.next(), None);
        // An event in a busy time needs settling soon, even if no other event follows.
        due.unsettle();
        assert!(!due.needs_settling(after(10_010)));
        assert_eq!(due.next(), Some(after(10_050)));
        assert!(!due.is_reached(after(10_050)), "no deadline, only a look for one");
        assert!(due.needs_settling(after(10_050)));
    }

    #[test]
    fn a_deadline_that_is_always_a_while_from_now_is_reached_however_busy_the_loop_is() {
        let start = Instant::now();
        let (mut due, mut now) = (NextDeadline::new(start), start);
        let mut reached = 0;
        while now < start + Duration::from_secs(1) {
            due.unsettle();
            if due.needs_settling(now) {
                due.settle(Some(now + Duration::from_millis(250)), now);
            }
            reached += u32::from(due.is_reached(now));
            now += Duration::from_millis(10);
        }
        assert!(reached >= 4, "{reached}");
    }

    #[test]
    fn a_deadline_that_is_found_again_at_once_does_not_keep_the_loop_busy() {
        let start = Instant::now();
        let mut due = NextDeadline::new(start);
        let mut wakes = 0;
        let mut now = start;
        while now < start + Duration::from_secs(1) {
            if due.needs_settling(now) {
                due.settle(Some(now), now);
            }
            if due.is_reached(now) {
                due.unsettle();
                wakes += 1;
            }
            now = due.next().expect("it wakes").max(now + Duration::from_micros(1));
        }
        assert!(wakes <= 21, "{wakes}");
    }
}
