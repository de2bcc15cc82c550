//! The state of a daemon that is stopping.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::limits::HOLD_TIMEOUT;
use exai_mux::ClientId;
use exai_os::clock;
use exai_proto::link::ByeReason;
use exai_proto::version;

/// The answer to a build that asks to replace this daemon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplaceAnswer {
    Made,
    /// The daemon stays: calls are under way.
    Busy {
        calls: usize,
    },
    Refused {
        reason: String,
    },
}

impl ReplaceAnswer {
    /// Only a newer build replaces the daemon. If any build could, two builds would replace each other for ever.
    pub(crate) fn for_build(wants: &str, ours: &str, stopping: bool, calls: usize) -> Self {
        if stopping {
            ReplaceAnswer::Refused { reason: "this daemon is stopping already".to_owned() }
        } else if !version::is_newer(wants, ours) {
            ReplaceAnswer::Refused {
                reason: format!("exai {wants} is not newer than this daemon, exai {ours}"),
            }
        } else if calls > 0 {
            ReplaceAnswer::Busy { calls }
        } else {
            ReplaceAnswer::Made
        }
    }
}

/// A daemon that is stopping.
#[derive(Debug)]
pub(crate) struct Stopping {
    deadline: Instant,
    reason: ByeReason,
    /// The shims that were asked to hold. What they still send was under way before, and is routed.
    holding: HashSet<ClientId>,
    /// The shims that have not confirmed yet, and until when the daemon waits for them.
    unheard: HashSet<ClientId>,
    until: Instant,
    /// The servers are being stopped: nothing is routed any more.
    ending: bool,
}

impl Stopping {
    /// Begins to stop. `holding` are the shims that were asked to hold.
    pub(crate) fn begin(grace: Duration, reason: ByeReason, holding: HashSet<ClientId>) -> Self {
        let now = clock::now();
        let (unheard, until) = (holding.clone(), now + HOLD_TIMEOUT);
        Stopping { deadline: now + grace, reason, holding, unheard, until, ending: false }
    }

    /// The daemon was asked to stop once more: the shorter time counts.
    pub(crate) fn hurry(&mut self, grace: Duration, reason: ByeReason) {
        self.deadline = self.deadline.min(clock::now() + grace);
        self.reason = reason;
    }

    /// The reason that shims are told when their link closes.
    pub(crate) fn reason(&self) -> ByeReason {
        self.reason
    }

    /// Whether the hub still routes requests of this client.
    pub(crate) fn serves(&self, client: ClientId) -> bool {
        self.starts() && self.holding.contains(&client)
    }

    /// Whether the hub still starts servers, for requests that are routed.
    pub(crate) fn starts(&self) -> bool {
        !self.ending && !self.holding.is_empty()
    }

    /// Notes that nothing of this client is under way any more.
    pub(crate) fn heard(&mut self, client: ClientId) {
        self.unheard.remove(&client);
    }

    /// Whether the servers may be stopped. `busy` says whether a request is under way.
    pub(crate) fn may_end(&self, busy: bool) -> bool {
        let now = clock::now();
        self.deadline <= now || !busy && (self.unheard.is_empty() || self.until <= now)
    }

    /// Whether the servers are being stopped.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Begins to stop the servers: nothing is routed from here on.
    pub(crate) fn end(&mut self) {
        self.ending = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shims_that_hold_are_served_until_each_was_heard_and_nothing_is_under_way() {
        let (one, two, other) = (ClientId(1), ClientId(2), ClientId(3));
        let mut stopping =
            Stopping::begin(Duration::from_mins(1), ByeReason::Restart, HashSet::from([one, two]));
        assert!(stopping.serves(one) && stopping.serves(two) && !stopping.serves(other));
        stopping.heard(one);
        assert!(!stopping.may_end(false), "one may still have something under way");
        stopping.heard(two);
        assert!(stopping.may_end(false) && !stopping.may_end(true));
        stopping.hurry(Duration::ZERO, ByeReason::Stop);
        assert!(stopping.may_end(true), "whatever is under way");
        stopping.end();
        assert!(!stopping.serves(one) && !stopping.starts());
    }

    #[test]
    fn room_is_made_for_a_newer_build_only_and_not_while_calls_are_under_way() {
        let room = |wants, stopping, calls| ReplaceAnswer::for_build(wants, "0.2.0", stopping, calls);
        assert_eq!(room("0.10.0", false, 0), ReplaceAnswer::Made);
        assert_eq!(room("0.10.0", false, 3), ReplaceAnswer::Busy { calls: 3 });
        for wants in ["0.2.0", "0.1.9", "0.2.0-rc.1", "", "newest"] {
            for calls in [0, 3] {
                assert!(matches!(room(wants, false, calls), ReplaceAnswer::Refused { .. }), "{wants}");
            }
        }
        assert!(matches!(room("0.10.0", true, 0), ReplaceAnswer::Refused { .. }));
    }

    #[test]
    fn where_nobody_was_asked_to_hold_nothing_is_routed_or_waited_for() {
        let stopping = Stopping::begin(Duration::from_mins(1), ByeReason::Stop, HashSet::new());
        assert!(!stopping.serves(ClientId(1)) && !stopping.starts() && stopping.may_end(false));
    }
}
