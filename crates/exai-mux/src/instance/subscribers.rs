//! Who has subscribed to which resource.

use exai_proto::limits;

use crate::limits::MAX_PARENT_URIS;

/// A resource, and those that it may be a part of: `a://b/c` is one of `a://b` and of `a://b/`.
pub(crate) fn with_parents(uri: &str) -> impl Iterator<Item = &str> {
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
