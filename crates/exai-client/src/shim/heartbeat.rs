//! Whether a daemon that owes answers still lives. A call may take minutes, but even a busy daemon answers a ping at
//! once. Pure: time is an argument.

use std::time::Instant;

use crate::limits::{MAX_LATENESS, PING_INTERVAL, SILENCE_TIMEOUT};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeartbeatAction {
    Wait,
    Ping,
    /// It hangs.
    Close,
}

/// When to ping a daemon, and when it counts as hanging.
#[derive(Debug)]
pub(super) struct Heartbeat {
    silent_since: Instant,
    next_ping: Instant,
}

impl Heartbeat {
    pub(super) fn begin(now: Instant) -> Self {
        Heartbeat { silent_since: now, next_ping: now + PING_INTERVAL }
    }

    /// What to do now. To be called at [`Heartbeat::due`] or earlier; `heard` is when the daemon was last heard.
    pub(super) fn check(&mut self, now: Instant, heard: Instant) -> HeartbeatAction {
        if now > self.due() + MAX_LATENESS {
            *self = Heartbeat { silent_since: now, next_ping: now + PING_INTERVAL };
            return HeartbeatAction::Ping;
        }
        self.silent_since = self.silent_since.max(heard);
        if now >= self.silent_since + SILENCE_TIMEOUT {
            return HeartbeatAction::Close;
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_INTERVAL;
            return HeartbeatAction::Ping;
        }
        HeartbeatAction::Wait
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        self.next_ping.min(self.silent_since + SILENCE_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The times of the checks, each with the time at which the daemon was last heard, in tenths of a second.
    type Looks = &'static [(u64, u64)];

    /// The actions of the checks at these times.
    fn looks(times: &[(u64, u64)]) -> Vec<HeartbeatAction> {
        let start = Instant::now();
        let at = |tenths| start + Duration::from_millis(100 * tenths);
        let mut heartbeat = Heartbeat::begin(start);
        times.iter().map(|(now, heard)| heartbeat.check(at(*now), at(*heard))).collect()
    }

    #[test]
    fn it_asks_every_five_seconds_and_closes_after_ten_of_silence() {
        use HeartbeatAction::{Close, Ping, Wait};
        let cases: [(Looks, &[HeartbeatAction]); 5] = [
            (&[(50, 0), (100, 0)], &[Ping, Close]),
            (&[(10, 0), (49, 0), (50, 50), (100, 51), (150, 101)], &[Wait, Wait, Ping, Ping, Ping]),
            // The daemon was heard once more, and the ten seconds count from then on.
            (&[(50, 30), (100, 30), (129, 30), (130, 30)], &[Ping, Ping, Wait, Close]),
            // No check was made when it was due, because the shim was stopped or the machine slept.
            (&[(50, 0), (121, 0), (171, 0), (221, 0)], &[Ping, Ping, Ping, Close]),
            (&[(50, 0), (119, 0)], &[Ping, Close]),
        ];
        for (times, expected) in cases {
            assert_eq!(looks(times), expected, "{times:?}");
        }
    }
}
