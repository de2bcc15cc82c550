//! Waiting for a condition without guessing how long it takes.

use std::thread;
use std::time::{Duration, Instant};

/// The pause after the first check. Each further pause is twice as long as the one before it.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause between two checks.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Checks `condition` until it holds, and panics if it does not hold within `timeout`.
///
/// `what` completes the sentence "… did not happen". It names the awaited event, as in
/// `eventually("the server ends", SECOND * 2, || !alive(pid))`. A test that needs a fixed sleep to pass passes by luck,
/// so this function is the only way in which tests wait.
///
/// # Panics
/// When `condition` is still false after `timeout`.
#[track_caller]
pub fn eventually(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut looks = 0_u32;
    loop {
        looks += 1;
        if condition() {
            return;
        }
        let passed = start.elapsed();
        assert!(
            passed < timeout,
            "did not happen within {timeout:?}: {what} (looked {looks} times in {passed:?})"
        );
        thread::sleep(pause.min(timeout.saturating_sub(passed)));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_as_soon_as_the_condition_holds() {
        let mut looks = 0;
        eventually("three looks", Duration::from_secs(5), || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    fn a_condition_that_holds_at_once_needs_no_time() {
        eventually("nothing", Duration::ZERO, || true);
    }

    #[test]
    fn says_what_did_not_happen() {
        let caught =
            std::panic::catch_unwind(|| eventually("the moon falls", Duration::from_millis(5), || false));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("the moon falls"), "{message}");
    }
}
