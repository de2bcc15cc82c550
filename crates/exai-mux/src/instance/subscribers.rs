//! Which clients of an instance have subscribed to which resource.

use std::collections::{BTreeSet, HashMap, HashSet};

use exai_proto::limits;

use crate::limits::MAX_PARENT_URIS;
use crate::types::ids::ClientId;

/// The subscribers of one instance.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    /// The subscribers of each resource. No list is empty.
    by_uri: HashMap<String, Vec<ClientId>>,
}

impl Subscribers {
    /// Adds a subscriber. Returns whether it is the first of the resource, so that the server must be told.
    pub(crate) fn add_subscriber(&mut self, uri: &str, client: ClientId) -> bool {
        let subscribers = self.by_uri.entry(uri.to_owned()).or_default();
        let is_first = subscribers.is_empty();
        if !subscribers.contains(&client) {
            subscribers.push(client);
        }
        is_first
    }

    /// Removes a subscriber. Returns whether it was the last of the resource, so that the server must be told.
    pub(crate) fn remove_subscriber(&mut self, uri: &str, client: ClientId) -> bool {
        let Some(subscribers) = self.by_uri.get_mut(uri) else { return false };
        subscribers.retain(|other| *other != client);
        let is_last = subscribers.is_empty();
        if is_last {
            self.by_uri.remove(uri);
        }
        is_last
    }

    /// Removes a client from all resources. Returns, sorted, the resources that no client is subscribed to any more.
    pub(crate) fn remove_client(&mut self, client: ClientId) -> Vec<String> {
        let mut left = Vec::new();
        self.by_uri.retain(|uri, subscribers| {
            subscribers.retain(|other| *other != client);
            if subscribers.is_empty() {
                left.push(uri.clone());
            }
            !subscribers.is_empty()
        });
        left.sort();
        left
    }

    /// The resources that clients are subscribed to.
    pub(crate) fn uris(&self) -> BTreeSet<String> {
        self.by_uri.keys().cloned().collect()
    }

    /// Whether these are all resources that clients are subscribed to.
    pub(crate) fn are_of(&self, uris: &BTreeSet<String>) -> bool {
        self.by_uri.len() == uris.len() && uris.iter().all(|uri| self.has_any(uri))
    }

    /// Whether a client is subscribed to the resource.
    pub(crate) fn has_any(&self, uri: &str) -> bool {
        self.by_uri.contains_key(uri)
    }

    /// Whether a client other than this one is subscribed to the resource.
    pub(crate) fn has_others(&self, uri: &str, client: ClientId) -> bool {
        self.by_uri.get(uri).is_some_and(|subscribers| subscribers.iter().any(|other| *other != client))
    }

    /// The clients that have subscribed to a resource, or to one that it is a part of.
    pub(crate) fn listeners(&self, uri: &str) -> Vec<ClientId> {
        if self.by_uri.is_empty() {
            return Vec::new();
        }
        let known = with_parents(uri).filter_map(|uri| self.by_uri.get(uri));
        let mut told = HashSet::new();
        known.flatten().filter(|client| told.insert(**client)).copied().collect()
    }
}

/// Whether a resource is another one, or may be a part of it.
pub(crate) fn is_part_of(uri: &str, whole: &str) -> bool {
    with_parents(uri).any(|one| one == whole)
}

/// A resource, and the resources that it may be a part of: `a://b/c` is one of `a://b` and of `a://b/`.
fn with_parents(uri: &str) -> impl Iterator<Item = &str> {
    let ends = uri.char_indices().filter(|(at, letter)| matches!(letter, '/' | '?' | '#') && *at > 0);
    let fits = if uri.len() > limits::URI_BYTES { 0 } else { MAX_PARENT_URIS };
    let parents = ends.take(fits).flat_map(|(at, _)| [&uri[..at], &uri[..=at]]);
    std::iter::once(uri).chain(parents.filter(move |parent| parent.len() < uri.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_end_where_a_part_begins() {
        let all: Vec<&str> = with_parents("r://a/b?c#d").collect();
        for parent in ["r://a/b?c#d", "r://a", "r://a/", "r://a/b", "r://a/b?c", "r://"] {
            assert!(all.contains(&parent), "{parent} of {all:?}");
        }
        assert!(all.iter().all(|parent| parent.len() > 1), "the scheme alone is none: {all:?}");
        assert_eq!(with_parents("plain").collect::<Vec<_>>(), ["plain"]);
        assert_eq!(with_parents("r://a/").filter(|uri| *uri == "r://a/").count(), 1);
        assert!(with_parents(&"/".repeat(5000)).count() <= 2 * MAX_PARENT_URIS + 1);
        assert_eq!(with_parents(&"/".repeat(limits::URI_BYTES + 1)).count(), 1);
    }
}
