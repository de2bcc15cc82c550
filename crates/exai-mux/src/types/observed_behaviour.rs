//! What a server was seen to do with the capabilities of its clients.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::capability::Ask;

/// What a server was seen to do, as it is kept for the next daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// What it has asked for.
    pub asks: BTreeSet<Ask>,
    /// Its lists were the same whatever its client could do, and were seen with at least two kinds of clients.
    pub same_for_all: bool,
    /// What was declared to runs that worked and asked for nothing: for each capability its values, as JSON.
    pub silent: BTreeMap<Ask, BTreeSet<String>>,
}

impl Traits {
    /// Whether it makes no difference to it that a client declares this.
    pub(crate) fn is_indifferent_to(&self, declared: &BTreeMap<Ask, String>) -> bool {
        let silent =
            |(ask, words): (&Ask, &String)| self.silent.get(ask).is_some_and(|all| all.contains(words));
        self.same_for_all && self.asks.is_empty() && declared.iter().all(silent)
    }

    /// What is declared to a run for everybody to whom it is indifferent: all of it. Should it ask one day, that is
    /// seen.
    pub(crate) fn declared_for_all(&self) -> String {
        let one = |(ask, words): (&Ask, &BTreeSet<String>)| {
            Some(format!("\"{}\":{}", ask.capability(), words.last()?))
        };
        format!("{{{}}}", self.silent.iter().filter_map(one).collect::<Vec<_>>().join(","))
    }
}
