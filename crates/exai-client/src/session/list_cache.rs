//! The last answer to each request for a list, and to `server/discover`. It is what a client is told while no daemon may
//! or can be started.

use std::borrow::Cow;
use std::collections::VecDeque;

use exai_proto::json::{self, Edit};

use super::era::Era;
use crate::limits::{MAX_COPIED_BYTES, MAX_COPIED_PAGES};
use crate::peek;

/// One page of one list, as it was asked for. The result of `server/discover` counts as a list of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    method: Box<[u8]>,
    /// The same list has more members in the modern era.
    era: Era,
    /// The JSON text of its cursor; the first page has none.
    cursor: Option<Box<[u8]>>,
}

impl Page {
    /// What this request asks for.
    pub(super) fn of(method: &[u8], request: &[u8]) -> Self {
        let cursor = peek::find_path(request, 0, &["params", "cursor"]).map(|at| &request[at]);
        let cursor = cursor.filter(|cursor| *cursor != b"null").map(Box::from);
        Page { method: method.into(), era: Era::of(request), cursor }
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
        let same_list = |known: &Page| known.method == page.method && known.era == page.era;
        let outdated = |known: &Page| *known == page || (page.cursor.is_none() && same_list(known));
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

    /// The last result, byte for byte, but that a client of the modern era is told not to keep it.
    pub(super) fn get(&self, page: &Page) -> Option<Cow<'_, [u8]>> {
        let (_, result) = self.pages.iter().find(|(known, _)| known == page)?;
        Some(match (page.era, peek::find_path(result, 0, &["ttlMs"])) {
            (Era::Modern, Some(at)) => json::splice(result, vec![Edit { at, with: b"0".to_vec() }]).into(),
            (Era::Modern, None) | (Era::Legacy, _) => (&**result).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(method: &str, cursor: &str) -> Page {
        Page::of(method.as_bytes(), format!(r#"{{"params":{{"cursor":{cursor}}}}}"#).as_bytes())
    }

    fn told(copies: &ListCache, page: &Page) -> String {
        copies.get(page).map_or("nothing".to_owned(), |result| String::from_utf8_lossy(&result).into_owned())
    }

    #[test]
    fn pages_of_an_earlier_list_are_not_mixed_with_those_of_a_later_one() {
        let mut copies = ListCache::default();
        let (first, second) = (page("tools/list", "null"), page("tools/list", "\"2\""));
        assert_eq!(first, Page::of(b"tools/list", b"{}"));
        copies.keep(first.clone(), b"a");
        copies.keep(second.clone(), b"b");
        copies.keep(page("prompts/list", "null"), b"p");
        assert_eq!([told(&copies, &first), told(&copies, &second)], ["a", "b"]);
        copies.keep(first.clone(), b"c");
        assert_eq!([told(&copies, &first), told(&copies, &second)], ["c", "nothing"]);
        assert_eq!(told(&copies, &page("prompts/list", "null")), "p");
    }

    #[test]
    fn each_era_has_pages_of_its_own_and_a_modern_client_keeps_none() {
        let modern = |method: &str, cursor: &str| {
            let version = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
            Page::of(method.as_bytes(), format!(r#"{{"params":{{"cursor":{cursor},{version}}}}}"#).as_bytes())
        };
        let mut copies = ListCache::default();
        let results = [
            (page("tools/list", "null"), r#"{"ttlMs":1}"#, r#"{"ttlMs":1}"#),
            (
                modern("tools/list", "null"),
                r#"{"a":[{"ttlMs":2}], "ttlMs" : 2 }"#,
                r#"{"a":[{"ttlMs":2}], "ttlMs" : 0 }"#,
            ),
            (modern("tools/list", "\"2\""), r#"{"a":3}"#, r#"{"a":3}"#),
            (page("tools/list", "\"2\""), r#"{"a":4}"#, r#"{"a":4}"#),
            (modern("server/discover", "null"), r#"{"ttlMs":3600000}"#, r#"{"ttlMs":0}"#),
        ];
        for (page, kept, _) in &results {
            copies.keep(page.clone(), kept.as_bytes());
        }
        for (page, _, expected) in &results {
            assert_eq!(told(&copies, page), *expected);
        }
        copies.keep(modern("tools/list", "null"), b"{}");
        let left = results.each_ref().map(|(page, ..)| told(&copies, page));
        assert_eq!(left, [r#"{"ttlMs":1}"#, "{}", "nothing", r#"{"a":4}"#, r#"{"ttlMs":0}"#]);
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
