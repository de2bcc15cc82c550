//! The requests that a server is to answer on its event stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The requests whose POST is under way, by number, and who wants to know that one was answered.
#[derive(Debug, Default)]
pub(super) struct Unanswered(Mutex<HashMap<u64, Arc<Notify>>>);

/// A request of which the answer is awaited. It is forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    all: &'a Unanswered,
    number: u64,
    answered: Arc<Notify>,
}

impl Unanswered {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits the answer to the request with this number.
    pub(super) fn expect(&self, number: u64) -> Expected<'_> {
        let answered = Arc::new(Notify::new());
        self.all().insert(number, answered.clone());
        Expected { all: self, number, answered }
    }

    /// Notes that the server has answered.
    pub(super) fn note_answer(&self, number: u64) {
        if let Some(answered) = self.all().get(&number) {
            answered.notify_one();
        }
    }
}

impl Expected<'_> {
    pub(super) async fn wait(&self) {
        self.answered.notified().await;
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.all.all().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_comes_early_is_not_missed_and_nothing_stays() {
        let unanswered = Unanswered::default();
        let expected = unanswered.expect(7);
        unanswered.note_answer(8);
        unanswered.note_answer(7);
        expected.wait().await;
        drop(expected);
        assert!(unanswered.all().is_empty());
    }
}
