//! How long to wait before looking for another daemon when links are lost as soon as they are there.

use std::time::Duration;

use exai_proto::backoff::Backoff;

use crate::limits::{MAX_FLAPPING_DELAY, MIN_FLAPPING_DELAY, SHORT_LINK};

/// Delays the search after links that were lost early: a daemon that crashes because of its clients must not be
/// started ten times a second, and twenty clients must not come back at once.
#[derive(Debug)]
pub(super) struct LinkLossBackoff {
    /// Whether the last link was lost early.
    is_suspect: bool,
    delay: Duration,
    backoff: Backoff,
}

impl Default for LinkLossBackoff {
    fn default() -> Self {
        let backoff = Backoff::doubling(MIN_FLAPPING_DELAY, MAX_FLAPPING_DELAY);
        LinkLossBackoff { is_suspect: false, delay: Duration::ZERO, backoff }
    }
}

impl LinkLossBackoff {
    /// Notes that a link was lost after it had `lived` for this long.
    pub(super) fn lost(&mut self, lived: Duration) {
        if lived >= SHORT_LINK {
            *self = LinkLossBackoff::default();
        } else if self.is_suspect {
            self.delay = self.backoff.next_delay();
        } else {
            // The first link that is lost early may be a coincidence.
            self.is_suspect = true;
        }
    }

    /// How long to wait now.
    pub(super) fn pause(&self) -> Duration {
        self.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_are_lost_at_once_make_it_wait_longer_and_one_that_lasts_makes_up_for_it() {
        let mut link_loss_backoff = LinkLossBackoff::default();
        let mut lost = |lived_ms| {
            link_loss_backoff.lost(Duration::from_millis(lived_ms));
            link_loss_backoff.pause().as_millis()
        };
        let early = [0, 50, 100, 200, 400, 800, 1000, 1000, 1000];
        assert_eq!(early.map(|_| lost(10)), early);
        assert_eq!(lost(1000), 0);
        assert_eq!([lost(0), lost(0)], [0, 50]);
    }
}
