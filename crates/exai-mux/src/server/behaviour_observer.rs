//! Observes whether the capabilities of its clients matter to a server.
//!
//! A server is told once, at its start, what its client can do: roots, sampling, elicitation, extensions and
//! experiments. So clients that differ in that cannot share an instance, until the server was seen to offer the same
//! whatever it was told, and an instance that was told so has worked for a while and asked for nothing. Then they
//! share. If a server was seen to ask, each client that can be asked has an instance of its own, because the server
//! does not say which client it means. Nothing is ever concluded from names.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

use crate::limits::{MAX_COMPARED_DECLARATIONS, MAX_OBSERVED_VALUE_BYTES, MAX_VALUES_PER_CAPABILITY};
use crate::types::capability::{ClientCapability, parse_capabilities};
use crate::types::list_kind::{LIST_KINDS, ListKind};
use crate::types::observed_behaviour::ObservedBehaviour;

/// What a server has been seen to do so far.
#[derive(Debug, Default)]
pub(crate) struct BehaviourObserver {
    observed: ObservedBehaviour,
    /// The hashes of lists, by the hash of what was declared to the instance that had them.
    lists: HashMap<u64, HashMap<ListKind, u64>>,
}

impl BehaviourObserver {
    pub(crate) fn observed(&self) -> &ObservedBehaviour {
        &self.observed
    }

    pub(crate) fn remember(&mut self, observed: ObservedBehaviour) {
        self.observed = observed;
    }

    /// The server asks for something. Returns whether that is new.
    pub(crate) fn note_server_request(&mut self, ask: ClientCapability) -> bool {
        self.observed.asks.insert(ask)
    }

    /// An instance that was told this has worked, and asked for nothing. Returns whether that is new.
    pub(crate) fn note_silence(&mut self, declared: &str) -> bool {
        let mut new = false;
        if !self.has_room(declared) {
            // The lists of such an instance cannot be compared.
            return false;
        }
        for (ask, words) in parse_capabilities(declared) {
            let known = self.observed.silent.entry(ask).or_default();
            new |= words.len() <= MAX_OBSERVED_VALUE_BYTES
                && known.len() < MAX_VALUES_PER_CAPABILITY
                && known.insert(words);
        }
        new
    }

    /// An instance has listed something. Returns whether that has changed what is known.
    pub(crate) fn note_list(&mut self, declared: &str, kind: ListKind, items: &[Bytes]) -> bool {
        if !self.has_room(declared) {
            return false;
        }
        self.lists.entry(hash(declared)).or_default().insert(kind, hash(items));
        let before = self.observed.same_for_all;
        match self.compare(kind) {
            Compared::Different => self.observed.same_for_all = false,
            // Clients use tools above all. A server without tools has an empty list of them.
            Compared::Same if kind == ListKind::Tools => {
                self.observed.same_for_all = !self.is_any_different();
            }
            Compared::Same | Compared::Unknown => {}
        }
        before != self.observed.same_for_all
    }

    /// Whether the lists of an instance that was told this can be remembered.
    pub(crate) fn has_room(&self, declared: &str) -> bool {
        self.lists.len() < MAX_COMPARED_DECLARATIONS || self.lists.contains_key(&hash(declared))
    }

    /// Whether a list is known to depend on what is declared.
    pub(crate) fn depends_on_declaration(&self, kind: ListKind) -> bool {
        matches!(self.compare(kind), Compared::Different)
    }

    /// Whether clients that declare something else were offered lists, and it is not known yet whether clients that
    /// declare this are offered the same.
    pub(crate) fn is_new_kind(&self, declared: &str, kind: ListKind) -> bool {
        let own = hash(declared);
        let mut listed = self.lists.iter().filter(|(_, lists)| lists.contains_key(&kind)).map(|(of, _)| *of);
        let (mut any, mut known) = (false, self.observed.same_for_all);
        for of in &mut listed {
            any = true;
            known |= of == own;
        }
        any && !known
    }

    fn is_any_different(&self) -> bool {
        LIST_KINDS.into_iter().any(|kind| matches!(self.compare(kind), Compared::Different))
    }

    fn compare(&self, kind: ListKind) -> Compared {
        let mut hashes = self.lists.values().filter_map(|lists| lists.get(&kind));
        let Some(first) = hashes.next() else { return Compared::Unknown };
        let (mut others, mut same) = (0, true);
        for hash in hashes {
            others += 1;
            same &= hash == first;
        }
        match (others, same) {
            (0, _) => Compared::Unknown,
            (_, true) => Compared::Same,
            (_, false) => Compared::Different,
        }
    }
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

enum Compared {
    /// Fewer than two lists are known.
    Unknown,
    Same,
    Different,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn two_kinds_of_clients_that_see_the_same_make_the_difference() {
        let (none, roots) = ("{}", r#"{"roots":{}}"#);
        let mut behaviour = BehaviourObserver::default();
        let tools = [Bytes::from("{}")];
        assert!(!behaviour.note_list(none, ListKind::Tools, &tools));
        assert!(!behaviour.note_list(none, ListKind::Tools, &tools), "the same kind of client twice");
        assert!(!behaviour.note_list(roots, ListKind::Prompts, &[]));
        assert!(behaviour.note_list(roots, ListKind::Tools, &tools));
        let declared = |text| parse_capabilities(text);
        assert!(behaviour.observed().is_indifferent_to(&declared("{}")));
        assert!(!behaviour.observed().is_indifferent_to(&declared(r#"{"roots":{}}"#)), "it may ask yet");
        assert!(behaviour.note_silence(r#"{"roots":{}}"#) && !behaviour.note_silence(r#"{"roots":{}}"#));
        assert!(behaviour.observed().is_indifferent_to(&declared(r#"{"roots":{}}"#)));
        assert!(!behaviour.observed().is_indifferent_to(&declared(r#"{"roots":{"listChanged":true}}"#)));
        assert_eq!(behaviour.observed().declared_for_all(), r#"{"roots":{}}"#);
        // Once two lists differ, they count as different until they are the same again.
        assert!(!behaviour.note_list(none, ListKind::Prompts, &[]));
        assert!(behaviour.note_list(roots, ListKind::Prompts, &tools));
        assert!(!behaviour.observed().is_indifferent_to(&BTreeMap::new()));
        assert!(!behaviour.note_list(roots, ListKind::Tools, &tools), "its prompts differ still");
        behaviour.note_list(roots, ListKind::Prompts, &[]);
        assert!(behaviour.note_list(roots, ListKind::Tools, &tools));
        assert!(
            behaviour.note_server_request(ClientCapability::Roots)
                && !behaviour.note_server_request(ClientCapability::Roots)
        );
        assert!(!behaviour.observed().is_indifferent_to(&BTreeMap::new()));
    }

    #[test]
    fn what_cannot_be_compared_any_more_is_not_taken_for_the_same() {
        let mut behaviour = BehaviourObserver::default();
        let experiment = |number: usize| format!(r#"{{"experimental":{{"x{number}":{{}}}}}}"#);
        for number in 0..MAX_COMPARED_DECLARATIONS {
            behaviour.note_list(&experiment(number), ListKind::Tools, &[]);
        }
        let other = experiment(MAX_COMPARED_DECLARATIONS);
        assert!(!behaviour.note_list(&other, ListKind::Tools, &[Bytes::from("{}")]));
        assert!(behaviour.observed().same_for_all && !behaviour.note_silence(&other));
        assert!(!behaviour.observed().is_indifferent_to(&parse_capabilities(&other)));
        assert!(behaviour.note_silence(&experiment(0)));
    }
}
