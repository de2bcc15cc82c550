//! Connections that have not shown yet that they may come in.
//!
//! They cost whoever makes them nothing, so they may take half of the places only: when there are more, the one that
//! has waited for longest makes room for the newest. Who has the token shows it at once and is a newcomer no more.

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
    /// What hangs up on each, the oldest first.
    all: BTreeMap<u64, CancellationToken>,
}

impl UnauthenticatedLimit {
    pub(crate) fn new(most: usize) -> Self {
        UnauthenticatedLimit { most, waiting: Arc::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more has come.
    pub(crate) fn come(&self, hang_up: CancellationToken) -> Unauthenticated {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.all.insert(number, hang_up);
        if waiting.all.len() > self.most {
            waiting.hang_up_on_the_oldest();
        }
        Unauthenticated(Arc::new(Ticket { newcomers: self.clone(), number }))
    }

    /// There is need of a place: the one that has waited for longest loses its own.
    pub(crate) fn make_room(&self) {
        self.waiting().hang_up_on_the_oldest();
    }
}

impl Waiting {
    fn hang_up_on_the_oldest(&mut self) {
        if let Some((_, oldest)) = self.all.pop_first() {
            oldest.cancel();
        }
    }
}

/// One of them, until it is let in or its connection ends.
#[derive(Debug, Clone)]
pub(crate) struct Unauthenticated(Arc<Ticket>);

#[derive(Debug)]
struct Ticket {
    newcomers: UnauthenticatedLimit,
    number: u64,
}

impl Unauthenticated {
    /// It may come in.
    pub(crate) fn let_in(&self) {
        self.0.leave();
    }
}

impl Ticket {
    fn leave(&self) {
        self.newcomers.waiting().all.remove(&self.number);
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
        let newcomers = UnauthenticatedLimit::new(2);
        let tokens: Vec<CancellationToken> = (0..5).map(|_| CancellationToken::new()).collect();
        let hung_up = || tokens.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>();
        let come = |number: usize| newcomers.come(tokens[number].clone());
        let (first, second, _third) = (come(0), come(1), come(2));
        assert_eq!(hung_up(), [true, false, false, false, false]);
        second.let_in();
        let fourth = come(3);
        assert_eq!(hung_up(), [true, false, false, false, false], "who was let in is none of them");
        drop((first, second, fourth));
        let _fifth = come(4);
        assert_eq!(hung_up(), [true, false, false, false, false], "nor is who has gone");
    }
}
