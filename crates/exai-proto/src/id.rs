//! Ids of requests, and progress tokens.

use std::borrow::Cow;

use crate::{json, limits};

/// The JSON text of a request id or a progress token: a string, an integer, or (ids only) null. Two ids are
/// the same if their values are: `7.0` is `7`, `"a\/b"` is `"a/b"`, and `1` is not `"1"`.
#[derive(Clone)]
pub struct Id {
    text: Box<[u8]>,
    /// The usual way to write the id, where its text is another.
    usual: Option<Box<[u8]>>,
}

impl Id {
    /// An id of our own making.
    pub fn number(number: u64) -> Self {
        Id { text: number.to_string().into_bytes().into(), usual: None }
    }

    /// The id's JSON text.
    pub fn as_json(&self) -> &[u8] {
        &self.text
    }

    /// An id with this JSON text. The text must have been checked.
    pub fn from_json(text: &[u8]) -> Self {
        Id { text: text.into(), usual: usual(text) }
    }

    /// The id of an answer to a message whose own id could not be read.
    pub fn null() -> Self {
        Id::from_json(b"null")
    }

    /// Whether this is the id of an answer to a message whose own id could not be read.
    pub fn is_null(&self) -> bool {
        *self.text == *b"null"
    }

    /// The number that the id means, even as a string: some programs turn numbers into strings, or into floats.
    pub fn as_number(&self) -> Option<u64> {
        let text = self.value();
        let digits = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn value(&self) -> &[u8] {
        self.usual.as_deref().unwrap_or(&self.text)
    }
}

/// The usual way to write an id, where this is another one.
fn usual(text: &[u8]) -> Option<Box<[u8]>> {
    match text.first() {
        Some(b'"') if memchr::memchr(b'\\', text).is_some() => {
            let usual = json::quote(&json::string(text, 0..text.len())?).into_bytes();
            (usual != text).then(|| usual.into())
        }
        Some(b'-' | b'0'..=b'9') => {
            integer(text).filter(|usual| usual.as_bytes() != text).map(|usual| usual.as_bytes().into())
        }
        _ => None,
    }
}

/// The integer that a JSON number means, without fraction and exponent. A number that is written so, as nearly every
/// id is, is not copied.
pub(crate) fn integer(text: &[u8]) -> Option<Cow<'_, str>> {
    /// Up to this number each integer is a distinct double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let text = std::str::from_utf8(text).ok()?;
    if digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        return Some(Cow::Borrowed(if digits == b"0" { "0" } else { text }));
    }
    let value: f64 = text.parse().ok()?;
    (value.fract() == 0.0 && value.abs() <= EXACT).then(|| Cow::Owned(format!("{}", value as i64)))
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Eq for Id {}

impl std::hash::Hash for Id {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value().hash(state);
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value().cmp(other.value())
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

/// Whether a JSON text is an id: a string, an integer or null, and short.
pub(crate) fn is_id(text: &[u8]) -> bool {
    text.len() <= limits::ID_BYTES && (matches!(text.first(), Some(b'"' | b'n')) || integer(text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_by_value_and_kept_as_they_came() {
        let same =
            [("7", "7.0"), ("7", "70e-1"), ("-0", "0"), (r#""a/b""#, r#""a\/b""#), (r#""\u0061""#, r#""a""#)];
        for (one, other) in same {
            let ids = [one, other].map(|text| Id::from_json(text.as_bytes()));
            assert_eq!(ids[0], ids[1]);
            assert_eq!(ids[1].as_json(), other.as_bytes());
        }
        for (one, other) in
            [("7", r#""7""#), ("7", "7.5"), ("1e400", "1e401"), (r#""\ud800""#, r#""\ud801""#)]
        {
            assert_ne!(Id::from_json(one.as_bytes()), Id::from_json(other.as_bytes()), "{one} {other}");
        }
        let number = |text: &str| Id::from_json(text.as_bytes()).as_number();
        assert_eq!(
            ["7", "7.0", r#""7""#, "7.5", "-7", "null"].map(number),
            [Some(7), Some(7), Some(7), None, None, None]
        );
    }
}
