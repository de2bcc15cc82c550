//! Whether a server may be started now: the pause after a failure, and the end of trying.
//!
//! An instance that has answered a client before it ended is followed at once, by the next request; so is the first
//! instance that only became ready. Otherwise the server is held back: 0.5 s, doubled up to 30 s. Each pause is up to
//! a quarter longer or shorter, so that many servers that fail together do not come back together. A server that ends
//! too often within a minute is left alone until a person restarts it or changes its configuration: it would go on
//! for ever.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::instance::RunProgress;
use crate::limits::{CRASH_COUNT_INTERVAL, MAX_RESTART_INTERVAL, MIN_RESTART_INTERVAL, SIGNED_OUT_INTERVAL};
use crate::types::event::{Down, See};

/// The health of one server.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: HealthState,
    /// When the server has ended unasked, within the last minute.
    ends: VecDeque<Instant>,
    /// How many instances were followed by a pause since the last that was of use.
    failures: u32,
    /// Whether an instance that only became ready was followed at once since then.
    excused: bool,
}

#[derive(Debug, Default, Clone)]
pub(crate) enum HealthState {
    #[default]
    Well,
    /// The server may be started again at this time.
    Resting { why: Down, until: Instant },
    /// Somebody must sign in there. Until this time nobody asks again, and after it only for a client.
    SignedOut { why: Down, until: Instant },
    /// The server is not started again.
    Failed { why: Down },
}

impl Health {
    pub(crate) fn state(&self) -> &HealthState {
        &self.state
    }

    /// Why nothing is to be sent to the server now. `None` if it may be started.
    pub(crate) fn held_back(&self, time: Instant) -> Option<&Down> {
        match &self.state {
            HealthState::Resting { why, until } | HealthState::SignedOut { why, until } if *until > time => {
                Some(why)
            }
            HealthState::Failed { why } => Some(why),
            HealthState::Resting { .. } | HealthState::SignedOut { .. } | HealthState::Well => None,
        }
    }

    /// Whether the server may be started though no client has asked. Where somebody must sign in that would ask for ever.
    pub(crate) fn may_start_unasked(&self, time: Instant) -> bool {
        !self.wants_sign_in() && self.held_back(time).is_none()
    }

    /// Whether somebody must sign in at the server, as far as is known.
    pub(crate) fn wants_sign_in(&self) -> bool {
        matches!(self.state, HealthState::SignedOut { .. })
    }

    /// A running instance is refused until somebody signs in. What it is asked shows at once when somebody has.
    pub(crate) fn note_sign_in_ended(&mut self, why: Down, time: Instant) {
        self.state = HealthState::SignedOut { why, until: time };
    }

    /// An instance has answered `initialize`.
    pub(crate) fn became_ready(&mut self) {
        self.state = HealthState::Well;
    }

    /// An instance ended unasked, or could not be started.
    pub(crate) fn note_end(&mut self, server: &str, why: &Down, run: RunProgress, limit: u32, time: Instant) {
        if let See::SignIn { .. } = why.see {
            let until = time + SIGNED_OUT_INTERVAL;
            self.state = HealthState::SignedOut { why: why.clone(), until };
            return;
        }
        self.count_end(time);
        if limit > 0 && self.ends.len() >= limit as usize {
            let reason = format!(
                "{}; it has ended {} times within a minute, and is started again by `exai restart {server}` alone",
                why.reason,
                self.ends.len()
            );
            tracing::warn!(server, reason, "failed");
            self.state = HealthState::Failed { why: Down { reason, ..why.clone() } };
        } else {
            self.state = match run {
                RunProgress::Served => {
                    (self.failures, self.excused) = (0, false);
                    HealthState::Well
                }
                RunProgress::Ready if self.failures == 0 && !self.excused => {
                    self.excused = true;
                    HealthState::Well
                }
                RunProgress::Ready | RunProgress::Unready => {
                    self.failures += 1;
                    HealthState::Resting { why: why.clone(), until: time + pause(server, self.failures) }
                }
            };
        }
        // Without a limit no count is needed.
        if limit == 0 {
            self.ends.clear();
        }
    }

    /// Counts an end after which the server is started anew at once, if it may be. Returns whether it may: the first
    /// end always, so that a server that may not end at all is served too.
    pub(crate) fn excuse_end(&mut self, limit: u32, time: Instant) -> bool {
        if limit == 0 {
            return true;
        }
        self.forget_old_ends(time);
        let may_start = self.ends.is_empty() || self.ends.len() + 1 < limit as usize;
        if may_start {
            self.count_end(time);
        }
        may_start
    }

    fn count_end(&mut self, time: Instant) {
        self.ends.push_back(time);
        self.forget_old_ends(time);
    }

    fn forget_old_ends(&mut self, time: Instant) {
        while self.ends.front().is_some_and(|first| *first + CRASH_COUNT_INTERVAL <= time) {
            self.ends.pop_front();
        }
    }

    /// Forgets all failures: a person wants the server to be tried.
    pub(crate) fn reset(&mut self) {
        *self = Health::default();
    }
}

/// The pause after so many failures. It is the same for the same server and number, so that what happens can be
/// replayed.
fn pause(server: &str, failures: u32) -> Duration {
    let whole = MIN_RESTART_INTERVAL.saturating_mul(1 << (failures - 1).min(10)).min(MAX_RESTART_INTERVAL);
    let mut hasher = DefaultHasher::new();
    (server, failures).hash(&mut hasher);
    // Between three quarters and five quarters.
    whole.mul_f64(0.75 + f64::from(hasher.finish() as u16) / f64::from(u16::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(health: &Health, time: Instant) -> f64 {
        match health.state() {
            HealthState::Resting { until, .. } => until.duration_since(time).as_secs_f64(),
            HealthState::Well | HealthState::SignedOut { .. } | HealthState::Failed { .. } => 0.0,
        }
    }

    #[test]
    fn pauses_are_doubled_up_to_half_a_minute_and_differ_by_a_quarter() {
        let (mut health, why) = (Health::default(), Down::because("x"));
        let mut time = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            health.note_end("a", &why, RunProgress::Unready, 0, time);
            pauses.push(rest(&health, time));
            time += Duration::from_secs(100);
        }
        for (pause, whole) in pauses.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
            assert!((0.75..=1.25).contains(&(pause / whole)), "{pauses:?}");
        }
        assert_ne!(pause("a", 1), pause("b", 1), "not all at once");
        health.note_end("a", &why, RunProgress::Served, 0, time);
        assert!(health.held_back(time).is_none(), "it was of use");
        health.note_end("a", &why, RunProgress::Ready, 0, time);
        assert!(health.held_back(time).is_none(), "once may happen");
        health.note_end("a", &why, RunProgress::Ready, 0, time);
        let second = rest(&health, time);
        assert!((0.375..=0.625).contains(&second), "twice in a row is a failure, and the first: {second}");
    }

    #[test]
    fn a_server_where_nobody_has_signed_in_has_not_failed() {
        let (mut health, time) = (Health::default(), Instant::now());
        let why = Down { see: See::SignIn { page: None }, ..Down::because("wants somebody to sign in") };
        for _ in 0..10 {
            health.note_end("a", &why, RunProgress::Unready, 5, time);
        }
        assert!(health.held_back(time).is_some());
        let later = time + SIGNED_OUT_INTERVAL;
        assert!(health.held_back(later).is_none(), "a client may find out that it is over");
        assert!(!health.may_start_unasked(later) && health.excuse_end(5, later), "and nobody else asks");
        health.reset();
        assert!(health.may_start_unasked(later));
    }

    #[test]
    fn five_ends_within_a_minute_are_the_end_until_somebody_forgives() {
        let (mut health, why) = (Health::default(), Down::because("exited with status 1"));
        let start = Instant::now();
        let end = |health: &mut Health, second| {
            let time = start + Duration::from_secs(second);
            health.note_end("a", &why, RunProgress::Served, 5, time);
            health.held_back(time + Duration::from_hours(1)).map(|down| down.reason.clone())
        };
        for second in [0, 10, 20, 30] {
            assert_eq!(end(&mut health, second), None);
        }
        assert_eq!(end(&mut health, 61), None, "the first is more than a minute ago");
        let said = end(&mut health, 62).expect("it is left alone");
        assert_eq!(
            said,
            "exited with status 1; it has ended 5 times within a minute, and is started again by `exai restart a` alone"
        );
        health.reset();
        assert_eq!(end(&mut health, 63), None);
    }
}
