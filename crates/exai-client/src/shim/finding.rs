//! Finding a daemon, and another when one is gone.

use std::io::Write;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{Shim, lock};
use crate::breaker::Breaker;
use crate::door::FailedStart;
use crate::pause;
use crate::way::{Halves, WayError};

/// How often to look whether somebody else has started a daemon.
const LOOK: Duration = Duration::from_millis(500);
/// How long to wait before trying again to start one, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The least wait after a start that failed for a reason: what was in its way may pass, as a half-written file does.
const FAILED: Duration = Duration::from_millis(500);

/// How long to wait before looking for another daemon when links are lost as soon as they are there: a daemon that
/// dies of its clients must not be started ten times a second. Twenty clients do not come back at once, either.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    short_links: u32,
}

impl Flapping {
    const SHORT: Duration = Duration::from_secs(1);
    const STEP: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);

    /// A link was lost that had lived for so long.
    pub(super) fn lost(&mut self, lived: Duration) {
        self.short_links = if lived < Self::SHORT { self.short_links + 1 } else { 0 };
    }

    /// The first link that is lost early may be a coincidence.
    pub(super) fn pause(&self) -> Duration {
        match self.short_links {
            0 | 1 => Duration::ZERO,
            many => (Self::STEP * (1 << (many - 2).min(8))).min(Self::LONGEST),
        }
    }
}

impl<W: Write + Send + 'static> Shim<W> {
    /// Finds a daemon, starting one where that is allowed, not before `pause` is over. `None` when there is no client
    /// any more, or when none was ever `met` and there will be none.
    pub(super) fn find_daemon(&self, met: bool, pause: Duration) -> Option<Halves> {
        let (mut back_off, longest) = BACK_OFF;
        let mut breaker = Breaker::default();
        let mut reported = String::new();
        if !pause.is_zero() {
            let may_start = lock(&self.state).session.may_start();
            if let Some(halves) = self.look_out(Instant::now() + pause::jittered(pause), may_start) {
                return Some(halves);
            }
        }
        loop {
            let mut rest = None;
            let (may_start, patience) = {
                let mut state = lock(&self.state);
                if state.over {
                    return None;
                }
                state.session.hopeless(false);
                (state.session.may_start(), state.session.patience())
            };
            if may_start {
                let now = Instant::now();
                let soon = now + Duration::from_secs(5);
                let deadline = patience.map_or(soon, |patience| soon.max(patience));
                let found = if met { self.way.connect_or_start(deadline) } else { self.way.arrive(deadline) };
                match found {
                    Ok(halves) => return Some(halves),
                    Err(error) if error.is_final() && !met => {
                        self.give_up(error);
                        return None;
                    }
                    Err(error) => {
                        if let Some(how) = error.failed_start() {
                            rest = breaker.failed(how, Instant::now());
                        }
                        if error.failed_start() == Some(FailedStart::Reason) {
                            back_off = back_off.max(FAILED);
                        }
                        self.trouble(&error, rest.is_some() || error.is_refusal(), &mut reported);
                    }
                }
            }
            let now = Instant::now();
            let wait = rest.map_or(back_off, |rest| rest.saturating_duration_since(now));
            back_off = (back_off * 2).min(longest);
            if let Some(halves) = self.look_out(now + pause::jittered(wait), may_start) {
                return Some(halves);
            }
        }
    }

    fn give_up(&self, error: WayError) {
        let mut state = lock(&self.state);
        state.no_way = Some(error);
        state.over = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Remembers why there is no daemon; `hopeless` when none is going to be started soon.
    fn trouble(&self, error: &WayError, hopeless: bool, reported: &mut String) {
        let sentence = error.to_string();
        if *reported != sentence {
            (self.report)(&sentence);
            reported.clone_from(&sentence);
        }
        let first = sentence.lines().next().unwrap_or_default().to_owned();
        let mut state = lock(&self.state);
        state.session.trouble(first);
        state.session.hopeless(hopeless);
        state.tried = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Until `next_try`, or until a daemon may be started again: looks whether there is one.
    fn look_out(&self, next_try: Instant, may_start: bool) -> Option<Halves> {
        loop {
            let state = lock(&self.state);
            let now = Instant::now();
            if state.over || (state.session.may_start() && (!may_start || now >= next_try)) {
                return None;
            }
            let pause = if may_start { LOOK.min(next_try.saturating_duration_since(now)) } else { LOOK };
            let (state, _) = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            drop(state);
            if let Some(halves) = self.way.try_connect() {
                return Some(halves);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_are_lost_at_once_make_it_wait_longer_and_one_that_lasts_makes_up_for_it() {
        let mut flapping = Flapping::default();
        let mut lost = |lived_ms| {
            flapping.lost(Duration::from_millis(lived_ms));
            flapping.pause().as_millis()
        };
        let early = [0, 50, 100, 200, 400, 800, 1000, 1000, 1000];
        assert_eq!(early.map(|_| lost(10)), early);
        assert_eq!(lost(1000), 0);
        assert_eq!([lost(0), lost(0)], [0, 50]);
    }
}
