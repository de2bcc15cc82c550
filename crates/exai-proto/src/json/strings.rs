//! Keys and strings: their text, and how it may be written.

use std::borrow::Cow;
use std::ops::Range;

/// Whether a key, as it is written between its quotes, is this one. Some writers escape what need not be escaped.
pub fn is_key(written: &[u8], key: &str) -> bool {
    written == key.as_bytes()
        // An escape is longer than what it stands for.
        || (written.len() > key.len()
            && memchr::memchr(b'\\', written).is_some()
            && unescaped(written).is_some_and(|text| text == key))
}

/// The text of a JSON string from what stands between its quotes; `None` for half a surrogate pair.
pub fn unescaped(written: &[u8]) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', written).is_none() {
        return std::str::from_utf8(written).ok().map(Cow::Borrowed);
    }
    let quoted = [b"\"", written, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
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
pub fn string(text: &[u8], at: Range<usize>) -> Option<Cow<'_, str>> {
    let raw = &text[at];
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(raw).ok().map(Cow::Owned)
}

/// `text` as a JSON string, quotes included.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
