use std::sync::OnceLock;
use std::time::{Duration, Instant};

use windows_sys::Win32::System::WindowsProgramming::QueryUnbiasedInterruptTime;

pub(crate) fn now() -> Instant {
    /// Both clocks at the same moment.
    static BEGIN: OnceLock<(Instant, u64)> = OnceLock::new();
    let (begin, awake) = *BEGIN.get_or_init(|| (Instant::now(), time_awake()));
    begin + Duration::from_nanos(100 * time_awake().saturating_sub(awake))
}

/// Since the system was started, in steps of 100 ns.
fn time_awake() -> u64 {
    let mut time = 0;
    // SAFETY: a place for a number. It fails for no place alone.
    unsafe { QueryUnbiasedInterruptTime(&raw mut time) };
    time
}
