//! Tests that take long or do much. `cargo xtask endure` runs them and prints their figures. All tests include shorter
//! forms of some of them.
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

/// The time that is not exceeded by this percentage of the times.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

/// The word that a table shows for a figure that is or is not within its limit.
fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}

/// Clients that call a tool again and again, to measure how other clients affect them.
#[derive(Default)]
struct Bystanders {
    over: AtomicBool,
    /// The time of each call, and how long its answer took.
    calls: Mutex<Vec<(Instant, Duration)>>,
}

impl Bystanders {
    /// Calls the tool until `over` is set, with a pause after each answer.
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
            // The measurement is about calls that come now and then.
            std::thread::sleep(pause);
        }
    }

    fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// The calls that were made between these times.
    fn between(&self, from: Instant, to: Instant) -> Vec<(Instant, Duration)> {
        let calls = self.calls.lock().expect("times");
        calls.iter().filter(|(at, _)| (from..to).contains(at)).copied().collect()
    }

    fn times(&self, from: Instant, to: Instant) -> Vec<Duration> {
        self.between(from, to).into_iter().map(|(_, took)| took).collect()
    }
}

/// Stops the bystanders also where an assertion fails, since the scope waits for their threads.
struct Stop<'a>(&'a Bystanders);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
