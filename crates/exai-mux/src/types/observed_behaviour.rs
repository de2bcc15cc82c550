//! What a server was seen to do with the capabilities of its clients.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::capability::ClientCapability;

/// What a server was seen to do, as it is kept for the next daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedBehaviour {
    /// What the server has asked for.
    pub asks: BTreeSet<ClientCapability>,
    /// Whether the lists were the same whatever the client could do, for at least two kinds of clients.
    pub same_for_all: bool,
    /// What was declared to instances that worked and asked for nothing: the values of each capability, as JSON.
    pub silent: BTreeMap<ClientCapability, BTreeSet<String>>,
}

impl ObservedBehaviour {
    /// Whether it makes no difference to the server that a client declares this.
    pub(crate) fn is_indifferent_to(&self, declared: &BTreeMap<ClientCapability, String>) -> bool {
        let silent = |(ask, words): (&ClientCapability, &String)| {
            self.silent.get(ask).is_some_and(|all| all.contains(words))
        };
        self.same_for_all && self.asks.is_empty() && declared.iter().all(silent)
    }

    /// What is declared to an instance that all indifferent clients share: everything on which the server kept
    /// silent. If the server asks one day, that is seen.
    pub(crate) fn declared_for_all(&self) -> String {
        let one = |(ask, words): (&ClientCapability, &BTreeSet<String>)| {
            Some(format!("\"{}\":{}", ask.name(), words.last()?))
        };
        format!("{{{}}}", self.silent.iter().filter_map(one).collect::<Vec<_>>().join(","))
    }
}
