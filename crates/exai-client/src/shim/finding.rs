//! Finding a daemon, and finding another when the first is gone.

use std::io::Write;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use exai_proto::backoff::Backoff;

use super::shared::{Shim, lock};
use crate::circuit_breaker::StartCircuitBreaker;
use crate::connect_error::FailedStart;
use crate::limits::{
    FAILED_START_DELAY, JOIN_INTERVAL, MAX_START_DELAY, MIN_ARRIVAL_TIMEOUT, MIN_START_DELAY,
};
use crate::link::LinkHalves;
use crate::retry_pause;
use crate::route_error::RouteError;

impl<W: Write + Send + 'static> Shim<W> {
    /// Finds a daemon after `pause`, and starts one where that is allowed. Returns `None` when the client is gone, or
    /// when this shim never `met` a daemon and another try would not help.
    pub(super) fn find_daemon(&self, met: bool, pause: Duration) -> Option<LinkHalves> {
        let mut start_delay = Backoff::doubling(MIN_START_DELAY, MAX_START_DELAY);
        let mut breaker = StartCircuitBreaker::default();
        let mut reported = String::new();
        if !pause.is_zero() {
            let may_start = lock(&self.state).session.may_start();
            if let Some(halves) =
                self.wait_for_daemon(Instant::now() + retry_pause::jittered(pause), may_start)
            {
                return Some(halves);
            }
        }
        loop {
            let mut rest = None;
            let (may_start, wanted_by) = {
                let mut state = lock(&self.state);
                if state.over {
                    return None;
                }
                state.session.set_hopeless(false);
                (state.session.may_start(), state.session.wanted_by())
            };
            if may_start {
                let now = Instant::now();
                let soon = now + MIN_ARRIVAL_TIMEOUT;
                let deadline = wanted_by.map_or(soon, |wanted_by| soon.max(wanted_by));
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
                            start_delay.raise_to(FAILED_START_DELAY);
                        }
                        self.report_failure(&error, rest.is_some() || error.is_refusal(), &mut reported);
                    }
                }
            }
            let now = Instant::now();
            let delay = start_delay.next_delay();
            let wait = rest.map_or(delay, |rest| rest.saturating_duration_since(now));
            if let Some(halves) = self.wait_for_daemon(now + retry_pause::jittered(wait), may_start) {
                return Some(halves);
            }
        }
    }

    fn give_up(&self, error: RouteError) {
        let mut state = lock(&self.state);
        state.no_way = Some(error);
        state.over = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Reports and remembers why there is no daemon. `hopeless`: no start is tried soon.
    fn report_failure(&self, error: &RouteError, hopeless: bool, reported: &mut String) {
        let sentence = error.to_string();
        if *reported != sentence {
            (self.report)(&sentence);
            reported.clone_from(&sentence);
        }
        let first = sentence.lines().next().unwrap_or_default().to_owned();
        let mut state = lock(&self.state);
        state.session.set_trouble(first);
        state.session.set_hopeless(hopeless);
        state.tried = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Tries to join a daemon every now and then, until `next_try` or until a daemon may be started again.
    fn wait_for_daemon(&self, next_try: Instant, may_start: bool) -> Option<LinkHalves> {
        loop {
            let state = lock(&self.state);
            let now = Instant::now();
            if state.over || (state.session.may_start() && (!may_start || now >= next_try)) {
                return None;
            }
            let pause = if may_start {
                JOIN_INTERVAL.min(next_try.saturating_duration_since(now))
            } else {
                JOIN_INTERVAL
            };
            let (state, _) = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            drop(state);
            if let Some(halves) = self.way.try_connect() {
                return Some(halves);
            }
        }
    }
}
