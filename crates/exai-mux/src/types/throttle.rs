//! A throttle: passes on the first event at once, and events that follow soon after it together.

use std::time::{Duration, Instant};

use crate::limits::{MAX_LIST_CHANGED_INTERVAL, MIN_LIST_CHANGED_INTERVAL};

/// Passes on the first event at once, and events that follow soon after it together.
#[derive(Debug)]
pub(crate) struct Throttle {
    longest: Duration,
    pause: Duration,
    /// Until when no event is passed on.
    until: Option<Instant>,
    /// Whether an event waits to be passed on.
    waits: bool,
}

impl Throttle {
    /// For the announcements of one server: the pauses grow.
    pub(crate) fn of_server() -> Self {
        Throttle {
            longest: MAX_LIST_CHANGED_INTERVAL,
            pause: MIN_LIST_CHANGED_INTERVAL,
            until: None,
            waits: false,
        }
    }

    /// For the notifications to one client: the pauses stay the same.
    pub(crate) fn of_client() -> Self {
        Throttle { longest: MIN_LIST_CHANGED_INTERVAL, ..Throttle::of_server() }
    }

    /// An event has happened. Returns whether it is to be passed on now.
    pub(crate) fn happened(&mut self, time: Instant) -> bool {
        if self.until.is_some_and(|until| time < until) {
            self.waits = true;
            return false;
        }
        self.pass(time);
        true
    }

    /// When the waiting event is to be passed on.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.until.filter(|_| self.waits)
    }

    /// Passes on the waiting event if its time has come. Returns whether it did.
    pub(crate) fn take_due(&mut self, time: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= time);
        if is_due {
            self.pass(time);
        }
        is_due
    }

    fn pass(&mut self, time: Instant) {
        self.pause =
            if self.is_quiet(time) { MIN_LIST_CHANGED_INTERVAL } else { self.longest.min(self.pause * 2) };
        self.waits = false;
        self.until = Some(time + self.pause);
    }

    /// Whether no event has happened for as long as the last pause.
    pub(crate) fn is_quiet(&self, time: Instant) -> bool {
        !self.waits && self.until.is_none_or(|until| until + self.pause <= time)
    }

    /// Whether events go on without end, so that the pause is the longest.
    pub(crate) fn is_restless(&self, time: Instant) -> bool {
        self.pause == MAX_LIST_CHANGED_INTERVAL && !self.is_quiet(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times (in milliseconds) at which events at these times are passed on.
    fn passed(mut throttle: Throttle, happens: &[u64]) -> Vec<u128> {
        let start = Instant::now();
        let mut passed = Vec::new();
        let mut happens = happens.iter().map(|&at| start + Duration::from_millis(at)).peekable();
        loop {
            let due = throttle.due();
            let Some(next) = happens.peek().copied().into_iter().chain(due).min() else { return passed };
            let is_passed = if due == Some(next) {
                throttle.take_due(next)
            } else {
                throttle.happened(happens.next().unwrap())
            };
            passed.extend(is_passed.then(|| next.duration_since(start).as_millis()));
        }
    }

    #[test]
    fn the_first_passes_at_once_and_what_follows_together_and_the_last_is_never_lost() {
        assert_eq!(passed(Throttle::of_server(), &[0]), [0]);
        assert_eq!(passed(Throttle::of_server(), &[0, 0, 0, 1]), [0, 250]);
        assert_eq!(passed(Throttle::of_server(), &[0, 1, 600, 2000]), [0, 250, 750, 2000]);
        assert_eq!(passed(Throttle::of_client(), &[0, 1, 251, 252, 800, 5000]), [0, 250, 500, 800, 5000]);
    }

    #[test]
    fn what_goes_on_for_ever_is_passed_on_less_and_less_until_it_is_quiet() {
        let always: Vec<u64> = (0..600_000).step_by(50).collect();
        let told = passed(Throttle::of_server(), &always);
        assert!(told.len() < 70, "in ten minutes: {told:?}");
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= 10_000), "{told:?}");
        assert!(told.last().is_some_and(|last| *last >= 599_950), "{told:?}");
        // The events come at intervals slightly longer than the shortest one at which they are passed on.
        let often: Vec<u64> = (0..60_000).step_by(260).collect();
        assert!(passed(Throttle::of_server(), &often).len() < 15);
        let (mut throttle, start) = (Throttle::of_server(), Instant::now());
        for at in &always {
            let time = start + Duration::from_millis(*at);
            throttle.take_due(time);
            throttle.happened(time);
        }
        let end = start + Duration::from_mins(10);
        assert!(throttle.is_restless(end));
        assert!(throttle.take_due(end + Duration::from_secs(10)));
        let quiet = end + Duration::from_mins(2);
        assert!(!throttle.is_restless(quiet) && throttle.happened(quiet));
        assert_eq!(throttle.pause, MIN_LIST_CHANGED_INTERVAL);
    }
}
