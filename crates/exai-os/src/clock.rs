//! Time that stands still while the machine sleeps: no program works then, and none is late.

use std::time::{Duration, Instant};

use crate::sys;

/// The present, by a clock that stands still while the machine sleeps. It is meant for deadlines of other programs,
/// which sleep as well. Compare it only with other results of this function and not with [`Instant::now`], which goes
/// on meanwhile on Windows (<https://github.com/rust-lang/rust/issues/79462>). On Windows this clock has steps of 16
/// ms.
pub fn now() -> Instant {
    sys::clock::now()
}

/// The time until then, by this clock.
pub fn until(then: Instant) -> Duration {
    then.saturating_duration_since(now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_while_the_machine_is_awake() {
        // This thread may be held up between any two looks at a clock.
        let (outer, begun, inner) = (Instant::now(), now(), Instant::now());
        wait_until(begun + Duration::from_millis(100));
        let (least, took, most) = (inner.elapsed(), now() - begun, outer.elapsed());
        let slack = Duration::from_millis(50);
        assert!(took + slack > least && took < most + slack, "{least:?}, {took:?}, {most:?}");
        assert_eq!(until(begun), Duration::ZERO);
    }

    fn wait_until(then: Instant) {
        while now() < then {
            std::thread::sleep(until(then));
        }
    }
}
