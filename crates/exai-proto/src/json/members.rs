//! The members of objects and the elements of arrays, found in the text.

use std::ops::Range;

use super::scan::{JsonError, check_value, skip_key, skip_space, skip_string, skip_value};
use super::strings::{is_key, resembles};

/// One member of an object: where its key is (without the quotes, escapes untouched) and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key's text between the quotes.
    pub key: Range<usize>,
    /// The value's text.
    pub value: Range<usize>,
}

/// Walks over the members of the object that begins at `at` and checks them on the way.
#[derive(Debug)]
pub struct Members<'a> {
    text: &'a [u8],
    at: usize,
    state: Walk,
    value: fn(&[u8], usize) -> Result<usize, JsonError>,
}

#[derive(Debug, PartialEq, Eq)]
enum Walk {
    First,
    Next,
    Done,
}

impl<'a> Members<'a> {
    /// Begins the walk; `at` is the object's opening brace. Values are skipped as [`skip_value`] does.
    pub fn new(text: &'a [u8], at: usize) -> Result<Self, JsonError> {
        match text.get(at) {
            Some(b'{') => Ok(Members { text, at: at + 1, state: Walk::First, value: skip_value }),
            Some(_) => Err(JsonError::Syntax(at)),
            None => Err(JsonError::Incomplete),
        }
    }

    /// The same, but values are checked as [`check_value`] does.
    pub fn checked(text: &'a [u8], at: usize) -> Result<Self, JsonError> {
        Ok(Members { value: check_value, ..Members::new(text, at)? })
    }

    /// The next key, if it can be read. Where the walk has ended in an error, it is the key of the invalid value.
    pub fn next_key(&self) -> Option<Range<usize>> {
        let mut at = skip_space(self.text, self.at);
        if self.state == Walk::Next && self.text.get(at) == Some(&b',') {
            at = skip_space(self.text, at + 1);
        }
        let is_key = self.state != Walk::Done && self.text.get(at) == Some(&b'"');
        is_key.then(|| skip_string(self.text, at).ok()).flatten().map(|end| at + 1..end - 1)
    }

    /// The next member, or `None` after the closing brace.
    pub fn next_member(&mut self) -> Result<Option<Member>, JsonError> {
        if self.state == Walk::Done {
            return Ok(None);
        }
        let mut at = skip_space(self.text, self.at);
        match (self.text.get(at).copied(), &self.state) {
            (None, _) => return Err(JsonError::Incomplete),
            (Some(b'}'), _) => {
                self.at = at + 1;
                self.state = Walk::Done;
                return Ok(None);
            }
            (Some(b','), Walk::Next) => at = skip_space(self.text, at + 1),
            (Some(b'"'), Walk::First) => {}
            (Some(_), _) => return Err(JsonError::Syntax(at)),
        }
        let value = skip_key(self.text, at)?;
        // The key ends at the last quote before the colon; the string was just checked.
        let key_end = skip_string(self.text, at)? - 1;
        let end = (self.value)(self.text, value)?;
        self.at = end;
        self.state = Walk::Next;
        Ok(Some(Member { key: at + 1..key_end, value: value..end }))
    }

    /// Where the object ended. Meaningful once [`Members::next_member`] has returned `None`.
    pub fn end(&self) -> usize {
        self.at
    }
}

/// The place of the member `key` of the object at `object` in a text that was checked before. The first one
/// wins; anything that is not an object has no members.
pub fn find(text: &[u8], object: Range<usize>, key: &str) -> Option<Range<usize>> {
    let mut members = Members::new(&text[..object.end], object.start).ok()?;
    while let Ok(Some(member)) = members.next_member() {
        if is_key(&text[member.key], key) {
            return Some(member.value);
        }
    }
    None
}

/// [`find`] along a path of keys.
pub fn find_path(text: &[u8], object: Range<usize>, path: &[&str]) -> Option<Range<usize>> {
    path.iter().try_fold(object, |within, key| find(text, within, key))
}

/// Like [`find_path`], for a value that the receiver must read alike.
///
/// # Errors
/// Another parser could find another value: a key of the path is there twice, or in two spellings.
pub fn find_sole_path(
    text: &[u8],
    object: Range<usize>,
    path: &[&str],
) -> Result<Option<Range<usize>>, Ambiguous> {
    let mut at = object;
    for key in path {
        let Ok(mut members) = Members::new(&text[..at.end], at.start) else { return Ok(None) };
        let mut found = None;
        while let Ok(Some(member)) = members.next_member() {
            let written = &text[member.key];
            let is_it = is_key(written, key);
            if resembles(written, key) && !is_it || is_it && found.replace(member.value).is_some() {
                return Err(Ambiguous);
            }
        }
        let Some(place) = found else { return Ok(None) };
        at = place;
    }
    Ok(Some(at))
}

/// Two parsers could find different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

/// The elements of the array at `array` in a text that was checked before; nothing if it is no array. Found
/// one by one: a short text can hold so many that their places would fill hundreds of mebibytes.
pub fn elements(text: &[u8], array: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_array = text.get(array.start) == Some(&b'[');
    let mut at = if is_array { skip_space(text, array.start + 1) } else { array.end };
    std::iter::from_fn(move || {
        if at >= array.end || text[at] == b']' {
            return None;
        }
        let element = at..skip_value(&text[..array.end], at).ok()?;
        at = skip_space(text, element.end);
        if text.get(at) == Some(&b',') {
            at = skip_space(text, at + 1);
        }
        Some(element)
    })
}
