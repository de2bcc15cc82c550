//! What takes long, or much: `cargo xtask endure` runs these and prints their figures. Shorter forms of some are run
//! with all tests.
#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "figures that people read")]

mod long;
mod overload;
mod process;
mod slow;
mod soak;
mod visitors;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::wire::Wire;

/// The time below which so many percent of the times are.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

/// A figure, what it may be, and whether it is.
fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// Clients that call a tool again and again, to see what others do to them.
#[derive(Default)]
struct Bystanders {
    over: AtomicBool,
    /// When each call was made, and how long its answer took.
    calls: Mutex<Vec<(Instant, Duration)>>,
}

impl Bystanders {
    /// Calls until it is over, with a pause after each answer.
    fn watch(&self, address: &str, server: &str, (tool, arguments): (&str, &Value), pause: Duration) {
        let mut wire = Wire::open(address, Some(server));
        let mut id = 0_u64;
        while !self.over.load(Ordering::Relaxed) {
            id += 1;
            let asked = Instant::now();
            wire.call(&json!(id), tool, arguments);
            let answer = wire.answer(&json!(id));
            assert!(answer["result"].is_object(), "{answer}");
            self.calls.lock().expect("times").push((asked, asked.elapsed()));
            // What is measured is how calls that come now and then are served.
            std::thread::sleep(pause);
        }
    }

    fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// The calls that were made in this time.
    fn between(&self, from: Instant, to: Instant) -> Vec<(Instant, Duration)> {
        let calls = self.calls.lock().expect("times");
        calls.iter().filter(|(at, _)| (from..to).contains(at)).copied().collect()
    }

    fn times(&self, from: Instant, to: Instant) -> Vec<Duration> {
        self.between(from, to).into_iter().map(|(_, took)| took).collect()
    }
}

/// Stops them also where an assertion fails: their threads are waited for.
struct Stop<'a>(&'a Bystanders);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
