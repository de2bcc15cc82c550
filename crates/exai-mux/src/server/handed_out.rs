//! The addresses of resources that a server has handed out in its results: links, embedded resources, pages of MCP
//! Apps.
//!
//! They need not be in any list, and a client of the aggregated endpoint must be able to read them all the same.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use exai_proto::{json, limits};
use memchr::memmem::Finder;

use crate::limits::{
    MAX_HANDED_OUT_BYTES, MAX_HANDED_OUT_URIS, MAX_SEARCHED_HEAD_BYTES, MAX_SEARCHED_TAIL_BYTES,
    MAX_URIS_PER_RESULT,
};

/// The key of an address, and the beginning of an address of a page. A search for what both have in common would stop
/// at every other key.
const KEY: &[u8] = b"\"uri\"";

const PAGE: &[u8] = b"\"ui://";

static BEGINNINGS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [Finder::new(KEY), Finder::new(PAGE)]);

/// The addresses that one server has handed out.
#[derive(Debug, Default)]
pub(crate) struct HandedOut {
    when: HashMap<Arc<str>, Instant>,
    /// The addresses in the order in which they make room, and when each was handed out as it was put there.
    order: VecDeque<(Arc<str>, Instant)>,
    bytes: usize,
}

impl HandedOut {
    pub(crate) fn insert(&mut self, uri: &str, time: Instant) {
        if uri.len() > limits::URI_BYTES {
            return;
        }
        if let Some(when) = self.when.get_mut(uri) {
            *when = time;
            return;
        }
        let uri: Arc<str> = uri.into();
        self.bytes += uri.len();
        self.when.insert(uri.clone(), time);
        self.order.push_back((uri, time));
        while self.order.len() > MAX_HANDED_OUT_URIS || self.bytes > MAX_HANDED_OUT_BYTES {
            let Some((first, then)) = self.order.pop_front() else { return };
            match self.when.get(&first).copied() {
                // The address was handed out again since, so it stays for another round.
                Some(last) if last > then => self.order.push_back((first, last)),
                Some(_) | None => {
                    self.bytes -= first.len();
                    self.when.remove(&first);
                }
            }
        }
    }

    /// When the server has last handed this address out.
    pub(crate) fn when(&self, uri: &str) -> Option<Instant> {
        self.when.get(uri).copied()
    }
}

/// Finds the addresses in a result. The result may be large, so it is searched as text: text that only looks like an
/// address does no harm.
pub(crate) fn find_handed_out(text: &[u8], result: &Range<usize>, mut see: impl FnMut(&str)) {
    let head_ends = result.end.min(result.start + MAX_SEARCHED_HEAD_BYTES);
    let tail_begins = head_ends.max(result.end.saturating_sub(MAX_SEARCHED_TAIL_BYTES));
    let parts = [result.start..head_ends, tail_begins..result.end];
    let mut found = 0;
    for (finder, part) in BEGINNINGS.iter().flat_map(|finder| parts.iter().map(move |part| (finder, part))) {
        let mut at = part.start;
        while at < part.end
            && found < MAX_URIS_PER_RESULT
            && let Some(next) = finder.find(&text[at..part.end])
        {
            let next = at + next;
            at = next + finder.needle().len();
            // A quotation mark within a text begins no key.
            if next.checked_sub(1).is_some_and(|before| text[before] == b'\\') {
                continue;
            }
            let Some(place) = address(&text[..result.end], next) else { continue };
            at = place.end;
            if place.len() <= limits::URI_BYTES
                && let Some(uri) = json::string(text, place)
            {
                found += 1;
                see(&uri);
            }
        }
    }
}

/// The place of the address that begins here, or that the key here leads to.
fn address(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let start = if rest.starts_with(KEY) {
        let colon = json::skip_space(text, at + KEY.len());
        let value = json::skip_space(text, colon + 1);
        (text.get(colon) == Some(&b':') && text.get(value) == Some(&b'"')).then_some(value)?
    } else {
        rest.starts_with(PAGE).then_some(at)?
    };
    Some(start..json::skip_value(text, start).ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let text = format!(r#"{{"result":{text}}}"#);
        find_handed_out(text.as_bytes(), &(10..text.len() - 1), |uri| found.push(uri.to_owned()));
        found
    }

    #[test]
    fn links_embedded_resources_and_pages_are_found_and_words_about_them_are_not() {
        let result = r#"{"content":[
            {"type":"resource_link","uri" : "r:\/\/1","name":"uri"},
            {"type":"resource","resource":{"uri":"r://ü","text":"\"uri\":\"r://no\" and \"ui://no\""}},
            {"type":"text","text":"user \"uri"},{"uri":7},{"uri":null},{"url":"u"}],
            "_meta":{"ui":{"resourceUri":"ui://page/1"}}}"#;
        assert_eq!(found(result), ["r://1", "r://ü", "ui://page/1"]);
        for nothing in ["{}", "[]", "7", r#""uri""#, r#"["uri"]"#, r#"{"x":"\"uri"}"#] {
            assert_eq!(found(nothing), [""; 0], "{nothing}");
        }
    }

    #[test]
    fn of_a_large_result_the_beginning_and_the_end_are_searched_and_only_so_many_are_taken() {
        let link = |uri: &str| format!(r#"{{"uri":"{uri}"}}"#);
        let filler = format!(r#"{{"x":"{}"}}"#, "A".repeat(MAX_SEARCHED_HEAD_BYTES / 2));
        let all = [
            &link("r://1"),
            &filler,
            &link("r://2"),
            &filler,
            &filler,
            &link("r://3"),
            &filler,
            &link("r://4"),
        ];
        assert_eq!(found(&format!("[{}]", all.map(String::as_str).join(","))), ["r://1", "r://2", "r://4"]);
        // A link that begins within the searched part and ends after it is read to its end or not found at all.
        let edge = format!(
            r#"[{{"x":"{}"}},{},{filler}]"#,
            "A".repeat(MAX_SEARCHED_HEAD_BYTES - 24),
            link("r://edge")
        );
        assert!(found(&edge).len() <= 1);
        let many = format!("[{}]", vec![link("r://x"); 1000].join(","));
        assert_eq!(found(&many).len(), MAX_URIS_PER_RESULT);
        let long = link(&"x".repeat(limits::URI_BYTES + 1));
        assert_eq!(found(&format!("[{long},{}]", link("r://5"))), ["r://5"]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_handed_out_again_stays() {
        let (mut handed_out, start) = (HandedOut::default(), Instant::now());
        handed_out.insert("r://often", start);
        for count in 0..3 * MAX_HANDED_OUT_URIS as u64 {
            let time = start + Duration::from_millis(count + 1);
            handed_out.insert(&format!("r://{count}"), time);
            handed_out.insert("r://often", time);
        }
        assert!(handed_out.when("r://often").is_some() && handed_out.when("r://0").is_none());
        assert!(handed_out.when(&format!("r://{}", 3 * MAX_HANDED_OUT_URIS - 1)).is_some());
        assert_eq!(
            (handed_out.when.len(), handed_out.order.len()),
            (MAX_HANDED_OUT_URIS, MAX_HANDED_OUT_URIS)
        );
        for count in 0..100 {
            let time = start + Duration::from_secs(count);
            handed_out.insert(&format!("{count}{}", "x".repeat(limits::URI_BYTES - 8)), time);
        }
        assert!(handed_out.bytes <= MAX_HANDED_OUT_BYTES && handed_out.order.len() == handed_out.when.len());
        assert_eq!(handed_out.bytes, handed_out.when.keys().map(|uri| uri.len()).sum::<usize>());
        handed_out.insert(&"x".repeat(limits::URI_BYTES + 1), start);
        assert!(handed_out.bytes <= MAX_HANDED_OUT_BYTES);
    }
}
