//! What can be found out about bytes that are no message, or only the beginning of one.

use std::ops::Range;

use crate::envelope_key::envelope_key;
use crate::id::{Id, is_id};
use crate::json;

/// The id of a message that is too long to be kept, if it stands in the bytes seen so far. Used to answer
/// -31007 to exactly the caller; a guess is never made: the id must be a complete member of the envelope.
pub fn peek_id(start: &[u8]) -> Option<Id> {
    let at = json::skip_space(start, 0);
    let mut members = json::Members::new(start, at).ok()?;
    while let Ok(Some(member)) = members.next_member() {
        if json::is_key(&start[member.key], "id") {
            let text = &start[member.value];
            return is_id(text).then(|| Id::from_json(text));
        }
    }
    None
}

/// What can be found out about an object that is no message, up to the place where it stops being JSON.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Peek {
    /// Its id, if it has a proper one and no other.
    pub id: Option<Id>,
    /// It names a version of JSON-RPC.
    pub version: bool,
    /// It has a method.
    pub asks: bool,
    /// It has a result or an error.
    pub answers: bool,
    /// It has members that no envelope has.
    pub more: bool,
}

impl Peek {
    /// Looks at what may be an object.
    pub fn at(text: &[u8]) -> Self {
        let (mut seen, mut ids) = (Peek::default(), 0);
        let start = json::skip_space(text, 0);
        let Ok(mut members) = json::Members::new(text, start) else { return seen };
        let mut note = |key: Range<usize>, value: Option<Range<usize>>| match envelope_key(&text[key]) {
            Some("jsonrpc") => seen.version = true,
            Some("method") => seen.asks = true,
            Some("result" | "error") => seen.answers = true,
            Some("id") => {
                ids += 1;
                seen.id = value.map(|at| &text[at]).filter(|text| is_id(text)).map(Id::from_json);
            }
            Some(_) => {}
            None => seen.more = true,
        };
        loop {
            match members.next_member() {
                Ok(Some(member)) => note(member.key, Some(member.value)),
                Ok(None) => break,
                Err(_) => {
                    // The value is invalid, but its key is known.
                    members.next_key().into_iter().for_each(|key| note(key, None));
                    break;
                }
            }
        }
        seen.id = seen.id.filter(|_| ids == 1);
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_told_of_what_is_no_message() {
        let at = |text: &str| Peek::at(text.as_bytes());
        let bad = at("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":\"\u{1}\"}}");
        assert_eq!(bad, Peek { id: Some(Id::number(7)), version: true, answers: true, ..Peek::default() });
        let twice = at(r#"{"id":7,"id":8,"method":"x","level":"info"}"#);
        assert_eq!(twice, Peek { asks: true, more: true, ..Peek::default() });
        assert_eq!((at("hello"), at("{")), (Peek::default(), Peek::default()));
    }
}
