//! Connections that have not shown the token yet.
//!
//! Such connections cost their owner nothing, so they may take only half of the permits: beyond that, the newest one
//! replaces the one that has waited longest. A client with the token shows it at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone)]
pub(crate) struct UnauthenticatedLimit {
    most: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// What breaks each connection off, the oldest first.
    all: BTreeMap<u64, CancellationToken>,
}

impl UnauthenticatedLimit {
    pub(crate) fn new(most: usize) -> Self {
        UnauthenticatedLimit { most, waiting: Arc::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, and breaks the oldest off if there are too many.
    pub(crate) fn add_connection(&self, hang_up: CancellationToken) -> Unauthenticated {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.all.insert(number, hang_up);
        if waiting.all.len() > self.most {
            waiting.break_oldest();
        }
        Unauthenticated(Arc::new(Ticket { limit: self.clone(), number }))
    }

    /// Breaks the oldest one off, since descriptors are scarce.
    pub(crate) fn break_oldest(&self) {
        self.waiting().break_oldest();
    }
}

impl Waiting {
    fn break_oldest(&mut self) {
        if let Some((_, oldest)) = self.all.pop_first() {
            oldest.cancel();
        }
    }
}

/// One of these connections, until it shows the token or ends.
#[derive(Debug, Clone)]
pub(crate) struct Unauthenticated(Arc<Ticket>);

#[derive(Debug)]
struct Ticket {
    limit: UnauthenticatedLimit,
    number: u64,
}

impl Unauthenticated {
    /// The connection has shown the token.
    pub(crate) fn admit(&self) {
        self.0.leave();
    }
}

impl Ticket {
    fn leave(&self) {
        self.limit.waiting().all.remove(&self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_who_was_not_let_in_makes_room_for_the_newest() {
        let limit = UnauthenticatedLimit::new(2);
        let tokens: Vec<CancellationToken> = (0..5).map(|_| CancellationToken::new()).collect();
        let hung_up = || tokens.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>();
        let add_connection = |number: usize| limit.add_connection(tokens[number].clone());
        let (first, second, _third) = (add_connection(0), add_connection(1), add_connection(2));
        assert_eq!(hung_up(), [true, false, false, false, false]);
        second.admit();
        let fourth = add_connection(3);
        assert_eq!(hung_up(), [true, false, false, false, false], "who was let in is none of them");
        drop((first, second, fourth));
        let _fifth = add_connection(4);
        assert_eq!(hung_up(), [true, false, false, false, false], "nor is who has gone");
    }
}
