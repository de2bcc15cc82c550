//! Measures how long it takes after a burst of kills until all clients are served again.

use std::thread;
use std::time::{Duration, Instant};

use super::clients::Clients;
use crate::support::{Instance, text};

/// The longest time until calls to every server succeed again.
const LIMIT: Duration = Duration::from_secs(15);

/// The recovery times of all bursts so far.
#[derive(Default)]
pub(super) struct Recovery {
    /// For each burst, the time until a call made after it had succeeded at every server.
    served: Vec<Duration>,
    /// The longest time until every client worked again.
    at_work: Duration,
}

impl Recovery {
    /// Waits until every client works again.
    pub(super) fn wait(&mut self, clients: &Clients, instance: &Instance) {
        let begun = Instant::now();
        let before = clients.answered();
        // Each client may have had two calls under way before the burst, and these do not count.
        let many = 2 * clients.count();
        let mut served = None;
        loop {
            if served.is_none() && clients.succeeded_since(begun) {
                served = Some(begun.elapsed());
            }
            let now = clients.answered();
            if now.iter().zip(&before).all(|(now, before)| *now > before + many) && served.is_some() {
                break;
            }
            let complaints = clients.complaints();
            if !complaints.is_empty() {
                for command in ["status", "ps"] {
                    eprintln!("{}", text(&instance.exai(&[command, "--json"]).stdout));
                }
            }
            assert!(complaints.is_empty(), "{complaints:#?}");
            assert!(begun.elapsed() < LIMIT, "a server does not recover: {before:?}, {now:?}");
            thread::sleep(Duration::from_millis(2));
        }
        self.served.extend(served);
        self.at_work = self.at_work.max(begun.elapsed());
    }

    pub(super) fn figures(&self) -> String {
        let mut served = self.served.clone();
        served.sort_unstable();
        let part = |percent: usize| served.get((served.len() * percent).div_ceil(100).max(1) - 1);
        let [half, most, all] =
            [50, 99, 100].map(|percent| part(percent).copied().unwrap_or_default().as_millis());
        format!(
            "{} bursts of kills; a call made after one succeeds at every server after p50 {half} ms, p99 {most} ms, \
             longest {all} ms; everybody is at work again after {} ms at the latest",
            served.len(),
            self.at_work.as_millis()
        )
    }
}
