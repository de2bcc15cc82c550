use std::time::Instant;

/// Linux's `CLOCK_MONOTONIC` and macOS's `CLOCK_UPTIME_RAW` stand still then.
pub(crate) fn now() -> Instant {
    Instant::now()
}
