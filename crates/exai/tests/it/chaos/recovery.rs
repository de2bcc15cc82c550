//! How long it takes after a burst of kills until everybody is served again.

use std::thread;
use std::time::{Duration, Instant};

use super::clients::Clients;

/// How long it may take until calls to every server succeed again.
const LIMIT: Duration = Duration::from_secs(15);

/// The times of all bursts so far.
#[derive(Default)]
pub(super) struct Recovery {
    /// Until a call made after the burst has succeeded at every server.
    served: Vec<Duration>,
    /// Until everybody is at work again.
    at_work: Duration,
}

impl Recovery {
    /// Waits until everybody is at work again.
    pub(super) fn wait(&mut self, clients: &Clients) {
        let begun = Instant::now();
        let before = clients.answered();
        // One of each client may have been under way twice.
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
