//! The last answer to each request for a list. It is what a client is told while no daemon may or can be started.

use std::collections::VecDeque;

use crate::limits::{MAX_COPIED_BYTES, MAX_COPIED_PAGES};
use crate::peek;

/// One page of one list, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    method: Box<[u8]>,
    /// The JSON text of its cursor; the first page has none.
    cursor: Option<Box<[u8]>>,
}

impl Page {
    /// What this request asks for.
    pub(super) fn of(method: &[u8], request: &[u8]) -> Self {
        let cursor = peek::find_path(request, 0, &["params", "cursor"]).map(|at| &request[at]);
        let cursor = cursor.filter(|cursor| *cursor != b"null").map(Box::from);
        Page { method: method.into(), cursor }
    }
}

/// The last pages of all lists, bounded.
#[derive(Debug, Default)]
pub(super) struct ListCache {
    /// The oldest first.
    pages: VecDeque<(Page, Box<[u8]>)>,
    bytes: usize,
}

impl ListCache {
    /// Keeps the JSON text of a result. A new first page makes the other pages of its list outdated.
    pub(super) fn keep(&mut self, page: Page, result: &[u8]) {
        let outdated =
            |known: &Page| *known == page || (page.cursor.is_none() && known.method == page.method);
        self.pages.retain(|(known, _)| !outdated(known));
        self.bytes = self.pages.iter().map(|(_, result)| result.len()).sum();
        if result.len() > MAX_COPIED_BYTES {
            return;
        }
        while self.pages.len() >= MAX_COPIED_PAGES || self.bytes + result.len() > MAX_COPIED_BYTES {
            let Some((_, oldest)) = self.pages.pop_front() else { break };
            self.bytes -= oldest.len();
        }
        self.bytes += result.len();
        self.pages.push_back((page, result.into()));
    }

    /// The last result, byte for byte.
    pub(super) fn get(&self, page: &Page) -> Option<&[u8]> {
        self.pages.iter().find(|(known, _)| known == page).map(|(_, result)| &**result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(method: &str, cursor: &str) -> Page {
        Page::of(method.as_bytes(), format!(r#"{{"params":{{"cursor":{cursor}}}}}"#).as_bytes())
    }

    #[test]
    fn pages_of_an_earlier_list_are_not_mixed_with_those_of_a_later_one() {
        let mut copies = ListCache::default();
        let (first, second) = (page("tools/list", "null"), page("tools/list", "\"2\""));
        assert_eq!(first, Page::of(b"tools/list", b"{}"));
        copies.keep(first.clone(), b"a");
        copies.keep(second.clone(), b"b");
        copies.keep(page("prompts/list", "null"), b"p");
        assert_eq!((copies.get(&first), copies.get(&second)), (Some(&b"a"[..]), Some(&b"b"[..])));
        copies.keep(first.clone(), b"c");
        assert_eq!((copies.get(&first), copies.get(&second)), (Some(&b"c"[..]), None));
        assert_eq!(copies.get(&page("prompts/list", "null")), Some(&b"p"[..]));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes() {
        let mut copies = ListCache::default();
        for number in 0..2 * MAX_COPIED_PAGES {
            copies.keep(page("x", &number.to_string()), b"1");
        }
        assert_eq!((copies.pages.len(), copies.bytes), (MAX_COPIED_PAGES, MAX_COPIED_PAGES));
        copies.keep(page("large", "null"), &vec![b'x'; MAX_COPIED_BYTES]);
        assert_eq!((copies.pages.len(), copies.bytes), (1, MAX_COPIED_BYTES));
        copies.keep(page("too large", "null"), &vec![b'x'; MAX_COPIED_BYTES + 1]);
        assert_eq!((copies.pages.len(), copies.get(&page("too large", "null"))), (1, None));
        copies.keep(page("large", "null"), &vec![b'x'; MAX_COPIED_BYTES + 1]);
        assert_eq!((copies.pages.len(), copies.bytes), (0, 0), "an outdated one is not told");
    }
}
