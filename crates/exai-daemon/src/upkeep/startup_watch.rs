//! Watches the start step by step. A step that hangs is named to the starter and ends the daemon: the kernel frees its
//! locks, and the next start is not held up.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::START_STEP_TIMEOUT;
use exai_os::clock;
use exai_proto::ready::Readiness;

/// How long it may take to log that.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);

/// The state of the start.
#[derive(Debug, Clone)]
pub(crate) struct StartupWatch {
    shared: Arc<(Mutex<At>, Condvar)>,
}

#[derive(Debug)]
struct At {
    step: &'static str,
    since: Instant,
    over: bool,
    /// The pipe to the starter, until something was said.
    ready: Option<File>,
}

impl StartupWatch {
    /// Begins to watch, on a thread of its own. If there is no thread to be had, the start is not watched.
    pub(crate) fn begin(ready: Option<File>, give_up: fn()) -> Self {
        let at = At { step: "beginning", since: clock::now(), over: false, ready };
        let starting = StartupWatch { shared: Arc::new((Mutex::new(at), Condvar::new())) };
        let watched = starting.clone();
        let _ = std::thread::Builder::new()
            .name("start-watch".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || watched.watch(give_up));
        starting
    }

    /// Notes the next step, in words that follow "it hangs while".
    pub(crate) fn step(&self, step: &'static str) {
        let mut at = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        (at.step, at.since) = (step, clock::now());
    }

    /// Tells the starter the outcome, once. The start is over. The starter may have gone.
    pub(crate) fn say(&self, readiness: &Readiness) {
        let mut at = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.over = true;
        report_readiness(&mut at.ready, readiness);
        drop(at);
        self.shared.1.notify_all();
    }

    fn watch(&self, give_up: fn()) {
        let (at, changed) = &*self.shared;
        let mut at = at.lock().unwrap_or_else(PoisonError::into_inner);
        while !at.over {
            let left = START_STEP_TIMEOUT.saturating_sub(clock::now() - at.since);
            if left.is_zero() {
                let reason = format!("it hangs while {}; given up after {START_STEP_TIMEOUT:?}", at.step);
                report_readiness(&mut at.ready, &Readiness::Failed { reason: reason.clone() });
                write_down(reason);
                return give_up();
            }
            (at, _) = changed.wait_timeout(at, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn report_readiness(ready: &mut Option<File>, readiness: &Readiness) {
    if let Some(mut pipe) = ready.take() {
        let _ = pipe.write_all(readiness.to_line().as_bytes());
    }
}

/// Logs the reason, on another thread: the log may be the very thing that hangs.
fn write_down(reason: String) {
    let said = std::thread::Builder::new().spawn(move || tracing::error!(reason, "not started"));
    let end = Instant::now() + LOG_TIMEOUT;
    while said.as_ref().is_ok_and(|said| !said.is_finished()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[test]
    fn the_starter_is_told_once() {
        let mut pipe = tempfile::tempfile().unwrap();
        let starting = StartupWatch::begin(Some(pipe.try_clone().unwrap()), || {});
        starting.step("trying");
        starting.say(&Readiness::Ready);
        starting.say(&Readiness::Lost { holder: None });
        let mut said = Vec::new();
        pipe.rewind().unwrap();
        pipe.read_to_end(&mut said).unwrap();
        assert_eq!(Readiness::from_line(&said), Some(Readiness::Ready));
    }
}
