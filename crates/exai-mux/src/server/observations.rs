//! What was measured about a server: whether its clients' capabilities matter to it.
//!
//! A server is told once, at its start, what its client can do: roots, sampling, elicitation, extensions and
//! experiments. So clients that differ in that cannot share a process, until it was seen that the server offers the same whatever it was told,
//! and that a run which was told so has worked for a while and asked for nothing; then they share. A server that was
//! seen to ask is another case: whoever can be asked has a process to himself, because the server does not say which
//! client it means. Nothing is ever told from names.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

use crate::limits::{MAX_COMPARED_DECLARATIONS, MAX_OBSERVED_VALUE_BYTES, MAX_VALUES_PER_CAPABILITY};
use crate::types::capability::{Ask, parse_capabilities};
use crate::types::list_kind::{KINDS, Kind};
use crate::types::observed_behaviour::Traits;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    traits: Traits,
    /// Hashes of lists, by the hash of what was declared to the run that had them.
    lists: HashMap<u64, HashMap<Kind, u64>>,
}

impl Measured {
    pub(crate) fn traits(&self) -> &Traits {
        &self.traits
    }

    pub(crate) fn remember(&mut self, traits: Traits) {
        self.traits = traits;
    }

    /// It asks for something. Returns whether that is new.
    pub(crate) fn asked(&mut self, ask: Ask) -> bool {
        self.traits.asks.insert(ask)
    }

    /// A run that was told of this has worked, and asked for nothing. Returns whether that is new.
    pub(crate) fn kept_silent(&mut self, declared: &str) -> bool {
        let mut new = false;
        if !self.has_room(declared) {
            // What it lists cannot be compared.
            return false;
        }
        for (ask, words) in parse_capabilities(declared) {
            let known = self.traits.silent.entry(ask).or_default();
            new |= words.len() <= MAX_OBSERVED_VALUE_BYTES
                && known.len() < MAX_VALUES_PER_CAPABILITY
                && known.insert(words);
        }
        new
    }

    /// It has listed something. Returns whether that has changed what is known.
    pub(crate) fn listed(&mut self, declared: &str, kind: Kind, items: &[Bytes]) -> bool {
        if !self.has_room(declared) {
            return false;
        }
        self.lists.entry(hash(declared)).or_default().insert(kind, hash(items));
        let before = self.traits.same_for_all;
        match self.compare(kind) {
            Compared::Different => self.traits.same_for_all = false,
            // The tools are what clients use; a server without tools has an empty list of them.
            Compared::Same if kind == Kind::Tools => self.traits.same_for_all = !self.is_any_different(),
            Compared::Same | Compared::Unknown => {}
        }
        before != self.traits.same_for_all
    }

    /// Whether the lists of a run that was told of this can be remembered.
    pub(crate) fn has_room(&self, declared: &str) -> bool {
        self.lists.len() < MAX_COMPARED_DECLARATIONS || self.lists.contains_key(&hash(declared))
    }

    /// Whether a list is known to depend on what is declared.
    pub(crate) fn depends(&self, kind: Kind) -> bool {
        matches!(self.compare(kind), Compared::Different)
    }

    /// Whether others than those who declare this were listed something, and it is not known yet whether these are
    /// offered the same.
    pub(crate) fn is_new_kind(&self, declared: &str, kind: Kind) -> bool {
        let own = hash(declared);
        let mut listed = self.lists.iter().filter(|(_, lists)| lists.contains_key(&kind)).map(|(of, _)| *of);
        let (mut any, mut known) = (false, self.traits.same_for_all);
        for of in &mut listed {
            any = true;
            known |= of == own;
        }
        any && !known
    }

    fn is_any_different(&self) -> bool {
        KINDS.into_iter().any(|kind| matches!(self.compare(kind), Compared::Different))
    }

    fn compare(&self, kind: Kind) -> Compared {
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
    /// Fewer than two are known.
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
        let mut measured = Measured::default();
        let tools = [Bytes::from("{}")];
        assert!(!measured.listed(none, Kind::Tools, &tools));
        assert!(!measured.listed(none, Kind::Tools, &tools), "the same kind of client twice");
        assert!(!measured.listed(roots, Kind::Prompts, &[]));
        assert!(measured.listed(roots, Kind::Tools, &tools));
        let declared = |text| parse_capabilities(text);
        assert!(measured.traits().is_indifferent_to(&declared("{}")));
        assert!(!measured.traits().is_indifferent_to(&declared(r#"{"roots":{}}"#)), "it may ask yet");
        assert!(measured.kept_silent(r#"{"roots":{}}"#) && !measured.kept_silent(r#"{"roots":{}}"#));
        assert!(measured.traits().is_indifferent_to(&declared(r#"{"roots":{}}"#)));
        assert!(!measured.traits().is_indifferent_to(&declared(r#"{"roots":{"listChanged":true}}"#)));
        assert_eq!(measured.traits().declared_for_all(), r#"{"roots":{}}"#);
        // What differs once differs for good, until it is the same again.
        assert!(!measured.listed(none, Kind::Prompts, &[]));
        assert!(measured.listed(roots, Kind::Prompts, &tools));
        assert!(!measured.traits().is_indifferent_to(&BTreeMap::new()));
        assert!(!measured.listed(roots, Kind::Tools, &tools), "its prompts differ still");
        measured.listed(roots, Kind::Prompts, &[]);
        assert!(measured.listed(roots, Kind::Tools, &tools));
        assert!(measured.asked(Ask::Roots) && !measured.asked(Ask::Roots));
        assert!(!measured.traits().is_indifferent_to(&BTreeMap::new()));
    }

    #[test]
    fn what_cannot_be_compared_any_more_is_not_taken_for_the_same() {
        let mut measured = Measured::default();
        let experiment = |number: usize| format!(r#"{{"experimental":{{"x{number}":{{}}}}}}"#);
        for number in 0..MAX_COMPARED_DECLARATIONS {
            measured.listed(&experiment(number), Kind::Tools, &[]);
        }
        let other = experiment(MAX_COMPARED_DECLARATIONS);
        assert!(!measured.listed(&other, Kind::Tools, &[Bytes::from("{}")]));
        assert!(measured.traits().same_for_all && !measured.kept_silent(&other));
        assert!(!measured.traits().is_indifferent_to(&parse_capabilities(&other)));
        assert!(measured.kept_silent(&experiment(0)));
    }
}
