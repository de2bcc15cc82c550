//! A validating scanner over JSON text (RFC 8259). It checks, finds and skips; it never builds a tree and
//! never copies, so a message passes through exai as the bytes it came in.
//!
//! Strings are skipped 32 bytes at a time: messages of a mebibyte are ordinary (screenshots, files), and
//! they are one long string.

use std::ops::Range;

use crate::limits;

/// Why a text is not one JSON value within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON at this byte.
    #[error("not valid JSON at byte {0}")]
    Syntax(usize),
    /// The text ends inside a value.
    #[error("the JSON text ends too early")]
    Incomplete,
    /// Objects and arrays are nested more than [`limits::DEPTH`] deep.
    #[error("nested more than {} deep", limits::DEPTH)]
    TooDeep,
}

/// The first byte at or after `at` that is not white space.
pub fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Checks the value that begins at `at` (no white space before it) and returns where it ends.
pub fn check_value(text: &[u8], at: usize) -> Result<usize, JsonError> {
    walk::<true>(text, at)
}

/// The same for a value that was checked before, or that some parser takes though it is no JSON: the `NaN`, `Infinity`
/// and `-Infinity` that Python writes and reads are numbers here.
pub fn skip_value(text: &[u8], at: usize) -> Result<usize, JsonError> {
    walk::<false>(text, at)
}

fn walk<const STRICT: bool>(text: &[u8], mut at: usize) -> Result<usize, JsonError> {
    // One bit per open container, lowest = innermost: 1 for an object, 0 for an array.
    let mut open: u128 = 0;
    let mut depth: u32 = 0;
    loop {
        // A value is due at `at`.
        match text.get(at).copied() {
            None => return Err(JsonError::Incomplete),
            Some(b'"') => at = skip_string(text, at)?,
            Some(container @ (b'{' | b'[')) => {
                if depth == limits::DEPTH {
                    return Err(JsonError::TooDeep);
                }
                let object = container == b'{';
                let next = skip_space(text, at + 1);
                let close = if object { b'}' } else { b']' };
                if text.get(next) == Some(&close) {
                    at = next + 1;
                } else {
                    open = open << 1 | u128::from(object);
                    depth += 1;
                    at = if object { skip_key(text, next)? } else { next };
                    continue;
                }
            }
            Some(b't') => at = skip_literal(text, at, b"true")?,
            Some(b'f') => at = skip_literal(text, at, b"false")?,
            Some(b'n') => at = skip_literal(text, at, b"null")?,
            Some(b'N') if !STRICT => at = skip_literal(text, at, b"NaN")?,
            Some(b'I') if !STRICT => at = skip_literal(text, at, b"Infinity")?,
            Some(b'-') if !STRICT && text.get(at + 1) == Some(&b'I') => {
                at = skip_literal(text, at, b"-Infinity")?;
            }
            Some(b'-' | b'0'..=b'9') => at = skip_number(text, at)?,
            Some(_) => return Err(JsonError::Syntax(at)),
        }
        // A value has ended at `at`: close containers until another value is due.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = skip_space(text, at);
            let object = open & 1 == 1;
            match text.get(at).copied() {
                None => return Err(JsonError::Incomplete),
                Some(b',') => {
                    at = skip_space(text, at + 1);
                    if object {
                        at = skip_key(text, at)?;
                    }
                    break;
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                Some(_) => return Err(JsonError::Syntax(at)),
            }
            open >>= 1;
            depth -= 1;
            at += 1;
        }
    }
}

/// Skips `"key":` and the white space around it; returns where the member's value begins.
fn skip_key(text: &[u8], at: usize) -> Result<usize, JsonError> {
    match text.get(at) {
        Some(b'"') => {}
        Some(_) => return Err(JsonError::Syntax(at)),
        None => return Err(JsonError::Incomplete),
    }
    let colon = skip_space(text, skip_string(text, at)?);
    match text.get(colon) {
        Some(b':') => Ok(skip_space(text, colon + 1)),
        Some(_) => Err(JsonError::Syntax(colon)),
        None => Err(JsonError::Incomplete),
    }
}

/// Whether a byte inside a string ends it, starts an escape, or is not allowed there.
#[expect(clippy::needless_bitwise_bool, reason = "lazy operators would keep the loop from being vectorised")]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

fn skip_string(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut at = at + 1;
    loop {
        // Written so that the compiler turns one chunk into a few vector instructions.
        while let Some(chunk) = text.get(at..at + 32) {
            if chunk.iter().fold(false, |found, &byte| found | is_special(byte)) {
                break;
            }
            at += 32;
        }
        while let Some(&byte) = text.get(at) {
            if is_special(byte) {
                break;
            }
            at += 1;
        }
        match text.get(at) {
            None => return Err(JsonError::Incomplete),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = skip_escape(text, at)?,
            Some(_) => return Err(JsonError::Syntax(at)),
        }
    }
}

fn skip_escape(text: &[u8], at: usize) -> Result<usize, JsonError> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match text.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            Some(_) => Err(JsonError::Syntax(at)),
            None => Err(JsonError::Incomplete),
        },
        Some(_) => Err(JsonError::Syntax(at)),
        None => Err(JsonError::Incomplete),
    }
}

fn skip_literal(text: &[u8], at: usize, literal: &[u8]) -> Result<usize, JsonError> {
    if text[at..].starts_with(literal) { Ok(at + literal.len()) } else { Err(JsonError::Syntax(at)) }
}

fn skip_digits(text: &[u8], mut at: usize) -> Result<usize, JsonError> {
    let start = at;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(JsonError::Syntax(at)) }
}

fn skip_number(text: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut at = if text[at] == b'-' { at + 1 } else { at };
    // No leading zeros: after 0 comes no other digit.
    at = if text.get(at) == Some(&b'0') { at + 1 } else { skip_digits(text, at)? };
    if text.get(at) == Some(&b'.') {
        at = skip_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        at = skip_digits(text, at)?;
    }
    Ok(at)
}

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

    /// The key that comes next, if it can be read: where the walk has ended in an error, that of the value that is
    /// none.
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

/// Whether a key, as it is written between its quotes, is this one. Some writers escape what need not be escaped.
pub fn is_key(written: &[u8], key: &str) -> bool {
    written == key.as_bytes()
        // An escape is longer than what it stands for.
        || (written.len() > key.len()
            && memchr::memchr(b'\\', written).is_some()
            && unescaped(written).is_some_and(|text| text == key))
}

/// The text of a JSON string from what stands between its quotes; `None` for half a surrogate pair.
pub fn unescaped(written: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    if memchr::memchr(b'\\', written).is_none() {
        return std::str::from_utf8(written).ok().map(std::borrow::Cow::Borrowed);
    }
    let quoted = [b"\"", written, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).ok().map(std::borrow::Cow::Owned)
}

/// [`find`] along a path of keys.
pub fn find_path(text: &[u8], object: Range<usize>, path: &[&str]) -> Option<Range<usize>> {
    path.iter().try_fold(object, |within, key| find(text, within, key))
}

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

/// Whether some parser could take `key` (its text between the quotes) for the key `known`, which is ASCII:
/// it spells it with escapes, or differs only in case. That includes the two letters beyond ASCII that
/// are another case of one within (U+017F and U+212A): Go's parser equates them.
pub fn resembles(key: &[u8], known: &str) -> bool {
    // The longest spelling has `\u0000` for every character.
    if key.len() < known.len() || key.len() > known.len() * 6 {
        return false;
    }
    if key.is_ascii() && memchr::memchr(b'\\', key).is_none() {
        return key.eq_ignore_ascii_case(known.as_bytes());
    }
    unescaped(key).is_some_and(|text| {
        let folded = text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        folded.eq(known.chars().map(|letter| letter.to_ascii_lowercase()))
    })
}

/// The decoded text of the JSON string at `at`, or `None` if it is no string.
pub fn string(text: &[u8], at: Range<usize>) -> Option<std::borrow::Cow<'_, str>> {
    let raw = &text[at];
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(std::borrow::Cow::Borrowed);
    }
    serde_json::from_slice::<String>(raw).ok().map(std::borrow::Cow::Owned)
}

/// `text` as a JSON string, quotes included.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One replacement in a text: these bytes become those.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What is replaced.
    pub at: Range<usize>,
    /// By what.
    pub with: Vec<u8>,
}

/// Copies `text` once, with the edits applied. They need not be sorted and must not overlap.
pub fn splice(text: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|edit| edit.at.start);
    let grown: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = Vec::with_capacity(text.len() + grown);
    let mut done = 0;
    for edit in edits {
        out.extend_from_slice(&text[done..edit.at.start]);
        out.extend_from_slice(&edit.with);
        done = edit.at.end;
    }
    out.extend_from_slice(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn valid(text: &[u8]) -> bool {
        let at = skip_space(text, 0);
        check_value(text, at).is_ok_and(|end| skip_space(text, end) == text.len())
    }

    #[test]
    fn the_numbers_of_python_are_none_of_json_and_are_skipped() {
        for text in ["NaN", "-Infinity", "[Infinity,{\"a\":NaN}]"] {
            assert!(!valid(text.as_bytes()), "{text}");
            assert_eq!(skip_value(text.as_bytes(), 0), Ok(text.len()));
        }
        for text in ["Nan", "-NaN", "Infinit", "[-Inf]", "+Infinity"] {
            assert!(skip_value(text.as_bytes(), 0).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_compared_by_what_they_say() {
        assert!(is_key(b"method", "method") && is_key(b"m\\u0065thod", "method"));
        assert!(is_key(b"\\u002f", "/") && is_key(b"\\/", "/"));
        assert!(
            !is_key(b"method\\u0073", "method") && !is_key(b"\\ud800", "x") && !is_key(b"Method", "method")
        );
        let text = br#"{"a\/b":1,"p\u0061rams":{"n":2}}"#;
        assert_eq!(find_path(text, 0..text.len(), &["params", "n"]).map(|at| &text[at]), Some(&b"2"[..]));
        assert_eq!(find(text, 0..text.len(), "a/b").map(|at| &text[at]), Some(&b"1"[..]));
    }

    #[test]
    fn agrees_with_the_grammar() {
        let cases: [(&str, bool); 25] = [
            ("{}", true),
            (" [1, 2.5e-3 ,-0, \"a\\u00e9\\n\"] ", true),
            ("{\"a\":{\"b\":[{}]},\"c\":null}", true),
            ("true", true),
            ("\"\\ud800\"", true), // lone surrogates are grammatical
            ("{\"a\":1,}", false),
            ("[1,]", false),
            ("[1 2]", false),
            ("{\"a\" 1}", false),
            ("{a:1}", false),
            ("01", false),
            ("1.", false),
            ("-", false),
            ("1e", false),
            ("+1", false),
            ("nul", false),
            ("\"\\x\"", false),
            ("\"\\u12g4\"", false),
            ("\"tab\tin a string\"", false),
            ("\"open", false),
            ("[", false),
            ("{\"a\":", false),
            ("[}", false),
            ("{]", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(valid(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(valid(&nested(limits::DEPTH as usize)));
        let deeper = nested(limits::DEPTH as usize + 1);
        assert_eq!(check_value(&deeper, 0), Err(JsonError::TooDeep));
        assert_eq!(skip_value(&vec![b'['; 1_000_000], 0), Err(JsonError::TooDeep));
    }

    #[test]
    fn finds_members_elements_and_replaces_them() {
        let text = br#"{ "a" : [1, "x", {"b":2}] , "_meta":{"progressToken":"t"} }"#;
        let whole = 0..text.len();
        let token = find_path(text, whole.clone(), &["_meta", "progressToken"]).unwrap();
        assert_eq!(&text[token.clone()], b"\"t\"");
        let array = find(text, whole.clone(), "a").unwrap();
        let parts: Vec<&[u8]> = elements(text, array.clone()).map(|part| &text[part]).collect();
        assert_eq!(parts, [&b"1"[..], b"\"x\"", b"{\"b\":2}"]);
        assert_eq!(find(text, whole, "b"), None);
        let edits = vec![Edit { at: token, with: b"7".to_vec() }, Edit { at: array, with: b"[]".to_vec() }];
        assert_eq!(splice(text, edits), br#"{ "a" : [] , "_meta":{"progressToken":7} }"#);
    }

    #[test]
    fn keys_that_another_parser_could_take_for_a_known_one() {
        for key in ["requestId", "requestI\\u0064", "requestid", "REQUESTID", "reque\u{17f}tId"] {
            assert!(resembles(key.as_bytes(), "requestId"), "{key}");
        }
        assert!(resembles("progressTo\u{212a}en".as_bytes(), "progressToken"));
        for key in ["request", "requestIds", "request\\u0064", "\\ud800equestId", "request_id"] {
            assert!(!resembles(key.as_bytes(), "requestId"), "{key}");
        }
    }

    proptest! {
        /// Whatever serde_json accepts within the depth limit is accepted, and nothing else.
        #[test]
        fn judges_like_serde_json(text in "[\\[\\]{}:,\"\\\\ntruefalsen0-9eE.+ \u{1}é-]{0,24}") {
            let judged = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(valid(text.as_bytes()), judged, "{}", text);
        }

        /// Scanning never panics and never reads past the end, whatever the bytes.
        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(end) = skip_value(&bytes, 0) {
                prop_assert!(end <= bytes.len());
            }
            if let Ok(mut members) = Members::new(&bytes, 0) {
                while let Ok(Some(_)) = members.next_member() {}
            }
        }

        /// A long string with anything in it ends where it ends.
        #[test]
        fn long_strings(content in "[a-z\\\\\"\n\u{e9}]{0,300}") {
            let quoted = quote(&content);
            prop_assert_eq!(skip_value(quoted.as_bytes(), 0), Ok(quoted.len()));
            let decoded = string(quoted.as_bytes(), 0..quoted.len()).map(std::borrow::Cow::into_owned);
            prop_assert_eq!(decoded, Some(content));
        }
    }
}
