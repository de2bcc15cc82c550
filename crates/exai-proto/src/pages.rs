//! Reading a list of MCP page by page: it is bounded and comes to an end, whatever the server says.
//!
//! The daemon and the command line read lists with it. Some servers answer a cursor that they do not know with the
//! first page, or give the same cursor for ever, so that a naive reader never comes to an end.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use bytes::Bytes;

use crate::{json, limits};

/// The longest part of a cursor that is quoted.
const QUOTED: usize = 60;

/// The part of a list that has come.
#[derive(Debug)]
pub struct Pages {
    /// The member of the result that holds the items.
    key: &'static str,
    items: Vec<Bytes>,
    bytes: usize,
    /// Hashes of the cursors that were followed: a cursor itself can be long.
    followed: HashSet<u64>,
}

/// What to do after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask for another page with these parameters.
    Page(String),
    /// Nothing: the list is complete.
    End,
    /// Nothing, although the server has more items.
    Cut(Cut),
}

/// Why a list is ended before its server ends it. Reads after "the server" and before the name of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// This cursor was followed before.
    Repeats(String),
    /// The cursor is empty.
    Empty,
    /// It has more than is kept of a list.
    TooLong,
}

/// The result holds no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoList;

impl Pages {
    /// An empty list before its first page. `key` is the member of the result that holds its items.
    pub fn new(key: &'static str) -> Self {
        Pages { key, items: Vec::new(), bytes: 0, followed: HashSet::new() }
    }

    /// Takes one page: the result at `result` in a text that was checked before.
    ///
    /// # Errors
    /// The result has no array of items.
    pub fn take(&mut self, text: &[u8], result: Range<usize>) -> Result<Next, NoList> {
        let array = json::find(text, result.clone(), self.key);
        // Null is how Go writes an empty list.
        let array = array.filter(|place| matches!(text[place.start], b'[' | b'n')).ok_or(NoList)?;
        for item in json::elements(text, array) {
            if self.items.len() == limits::LIST_ITEMS || self.bytes + item.len() > limits::LIST_BYTES {
                return Ok(Next::Cut(Cut::TooLong));
            }
            // Python writes numbers that are no JSON. One such item would cost a client the whole list.
            if json::check_value(text, item.start).is_err() {
                continue;
            }
            self.bytes += item.len();
            // Copied: a slice would keep the whole page in memory.
            self.items.push(Bytes::copy_from_slice(&text[item]));
        }
        let cursor = json::find(text, result, "nextCursor").filter(|place| text[place.start] == b'"');
        let Some(cursor) = cursor.map(|place| &text[place]) else { return Ok(Next::End) };
        if cursor == b"\"\"" {
            return Ok(Next::Cut(Cut::Empty));
        }
        let mut hasher = DefaultHasher::new();
        cursor.hash(&mut hasher);
        let cursor = String::from_utf8_lossy(cursor);
        if !self.followed.insert(hasher.finish()) {
            // A server that repeats a cursor has usually repeated its page.
            let mut seen = HashSet::new();
            self.items.retain(|item| seen.insert(item.clone()));
            return Ok(Next::Cut(Cut::Repeats(cursor.chars().take(QUOTED).collect())));
        }
        if self.followed.len() > limits::LIST_PAGES {
            return Ok(Next::Cut(Cut::TooLong));
        }
        Ok(Next::Page(format!("{{\"cursor\":{cursor}}}")))
    }

    /// The items that have come so far.
    pub fn into_items(self) -> Vec<Bytes> {
        self.items
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cut::Repeats(cursor) => write!(f, "repeats the cursor {cursor} in"),
            Cut::Empty => f.write_str("gives an empty cursor in"),
            Cut::TooLong => write!(
                f,
                "has more than {} items, {} MiB or {} pages in",
                limits::LIST_ITEMS,
                limits::LIST_BYTES / 1024 / 1024,
                limits::LIST_PAGES
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pages: &mut Pages, result: &str) -> Result<Next, NoList> {
        pages.take(result.as_bytes(), 0..result.len())
    }

    #[test]
    fn an_item_that_is_no_json_is_left_out() {
        let mut pages = Pages::new("tools");
        let result = r#"{"tools":[{"a":1},{"b":NaN},{"c":[-Infinity]},{"d":2}],"x":NaN}"#;
        assert_eq!(take(&mut pages, result), Ok(Next::End));
        assert_eq!(pages.into_items(), [&br#"{"a":1}"#[..], br#"{"d":2}"#]);
    }

    fn page(cursor: &str) -> Next {
        Next::Page(format!("{{\"cursor\":\"{cursor}\"}}"))
    }

    #[test]
    fn a_list_ends_where_there_is_no_cursor_or_one_that_was_followed() {
        let mut pages = Pages::new("tools");
        assert_eq!(take(&mut pages, r#"{"tools":[{"a":1.0}],"nextCursor":"1"}"#), Ok(page("1")));
        assert_eq!(take(&mut pages, r#"{"nextCursor":"2","tools":[]}"#), Ok(page("2")));
        let again = take(&mut pages, r#"{"tools":[{"a":1.0},2],"nextCursor":"1"}"#);
        assert_eq!(again, Ok(Next::Cut(Cut::Repeats("\"1\"".to_owned()))));
        assert_eq!(pages.into_items(), ["{\"a\":1.0}", "2"]);
        for (end, next) in [
            ("{\"tools\":[]}", Next::End),
            ("{\"tools\":null}", Next::End),
            ("{\"tools\":[],\"nextCursor\":null}", Next::End),
            ("{\"tools\":[],\"nextCursor\":7}", Next::End),
            ("{\"tools\":[],\"nextCursor\":\"\"}", Next::Cut(Cut::Empty)),
        ] {
            assert_eq!(take(&mut Pages::new("tools"), end), Ok(next), "{end}");
        }
    }

    #[test]
    fn what_has_no_array_is_no_list() {
        for wrong in ["{}", "[]", "null", r#"{"tools":{}}"#, r#"{"tools":"x"}"#, r#"{"prompts":[]}"#] {
            assert_eq!(take(&mut Pages::new("tools"), wrong), Err(NoList), "{wrong}");
        }
    }

    #[test]
    fn pages_items_and_bytes_are_bounded() {
        let mut pages = Pages::new("tools");
        let mut asked = 0;
        let last = loop {
            let page = format!(r#"{{"tools":[],"nextCursor":"{asked}"}}"#);
            match take(&mut pages, &page) {
                Ok(Next::Page(_)) => asked += 1,
                last => break last,
            }
        };
        assert_eq!(last, Ok(Next::Cut(Cut::TooLong)));
        assert_eq!(asked, limits::LIST_PAGES);
        for (number, length) in [(limits::LIST_ITEMS, 1), (4, limits::LIST_BYTES / 4)] {
            let item = "7".repeat(length);
            let page = |number: usize| format!("{{\"tools\":[{}]}}", vec![&*item; number].join(","));
            let mut pages = Pages::new("tools");
            assert_eq!(take(&mut pages, &page(number)), Ok(Next::End));
            assert_eq!(take(&mut pages, &page(1)), Ok(Next::Cut(Cut::TooLong)));
            assert_eq!(pages.into_items().len(), number);
        }
    }
}
