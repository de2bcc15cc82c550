//! Reading JSON of a server to show it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Reads JSON of a server. Half of a surrogate pair, which JSON can write (JavaScript does when it cuts a text in the
/// middle of a character) and no text of ours can hold, is read as U+FFFD.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match without_lone_surrogates(json) {
        Cow::Owned(mended) => serde_json::from_slice(&mended),
        Cow::Borrowed(_) => Err(error),
    })
}

/// The same JSON with `\ufffd` in the place of each escape that is half of a pair.
fn without_lone_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended: Vec<u8> = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(next) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += next;
        match code_unit(&json[at..]) {
            Some(0xd800..0xdc00) if matches!(code_unit(&json[at + 6..]), Some(0xdc00..0xe000)) => at += 12,
            Some(0xd800..0xe000) => {
                mended.extend_from_slice(&json[copied..at]);
                mended.extend_from_slice(b"\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            // Another escape, of two bytes.
            None => at = (at + 2).min(json.len()),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    mended.extend_from_slice(&json[copied..]);
    Cow::Owned(mended)
}

/// The code unit of the escape `\uXXXX` that the text begins with.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_pair_is_a_replacement_character() {
        let cases = [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00\ud83dx""#, "\u{fffd}\u{fffd}x"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d \uD83D\uDE00 \n""#, "\\ud83d 😀 \n"),
        ];
        for (json, text) in cases {
            assert_eq!(read::<String>(json.as_bytes()).unwrap(), text, "{json}");
        }
        for broken in [r#""\ud8"#, r#""\"#, r#""\ud83d"#, "{"] {
            assert!(read::<String>(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
