//! The members of a tree with their parents and children.

use std::collections::HashMap;

use super::judgement::Observation;
use super::known_launchers::{self, Signature};
use super::member_facts::Facts;

/// The members below the guard, with everything that follows from the facts alone. Members are identified by their
/// index.
pub(super) struct View<'a> {
    pub(super) seen: &'a Observation<'a>,
    /// The parent of each, if it is a member and not the guard.
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// How each member is known as a launcher.
    pub(super) signatures: Vec<Option<Signature>>,
}

impl<'a> View<'a> {
    pub(super) fn new(seen: &'a Observation<'a>) -> Self {
        let members = seen.members;
        let by_pid: HashMap<u32, usize> =
            members.iter().enumerate().map(|(index, facts)| (facts.process.pid, index)).collect();
        let mut parents = vec![None; members.len()];
        let mut children = vec![Vec::new(); members.len()];
        for (index, facts) in members.iter().enumerate() {
            let parent = by_pid.get(&facts.process.ppid).copied();
            // Parents come before their children, so that no process can be its own ancestor.
            let parent = parent.filter(|parent| *parent < index && !seen.is_guard(&members[*parent]));
            if let Some(parent) = parent.filter(|_| !seen.is_guard(facts)) {
                parents[index] = Some(parent);
                children[parent].push(index);
            }
        }
        let below =
            |of: usize| -> Vec<&Facts> { children[of].iter().map(|child| &members[*child]).collect() };
        let signatures =
            (0..members.len()).map(|index| known_launchers::of(&members[index], &below(index))).collect();
        Self { seen, parents, children, signatures }
    }

    pub(super) fn facts(&self, index: usize) -> &'a Facts {
        &self.seen.members[index]
    }

    /// All but the guard.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.seen.members.len()).filter(|index| !self.seen.is_guard(self.facts(*index)))
    }

    /// The members without a parent in the tree: the root, and orphans.
    pub(super) fn tops(&self) -> Vec<usize> {
        self.indices().filter(|index| self.parents[*index].is_none()).collect()
    }

    pub(super) fn children(&self, index: usize) -> &[usize] {
        &self.children[index]
    }

    /// Nearest first.
    pub(super) fn ancestors(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parents[index], |above| self.parents[*above])
    }

    pub(super) fn is_below(&self, index: usize, above: usize) -> bool {
        self.ancestors(index).any(|ancestor| ancestor == above)
    }

    /// How many of the two ends that matter it holds; `None` where the system does not tell.
    pub(super) fn ends(&self, index: usize) -> Option<usize> {
        let facts = self.facts(index);
        match (facts.stdin, facts.stdout) {
            (None, None) => None,
            (stdin, stdout) => Some([stdin, stdout].iter().filter(|end| **end == Some(true)).count()),
        }
    }
}
