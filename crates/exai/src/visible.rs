//! Foreign text made harmless: what a terminal or a reader of lines would obey is written out instead.
//!
//! Names, descriptions, errors, logs and process names come from servers, clients and other programs. A terminal obeys
//! escape sequences in them (set the clipboard, clear the screen, move the cursor), a bidirectional control shows text
//! in another order than it has, and a line break within a cell forges a row. Each such character is shown by its
//! escape as in Rust: `\u{1b}`, `\n`, `\u{202e}`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text that stays on one line: line breaks and tabs are written out too.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    escape(text, is_obeyed, |character, into| into.extend(character.escape_default()))
}

/// Text of several lines: line breaks and tabs stay, also the `\r` of a line break of Windows.
pub(crate) fn in_lines(text: &str) -> Cow<'_, str> {
    let text =
        if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    let obeyed = |character| !matches!(character, '\n' | '\t') && is_obeyed(character);
    match escape(&text, obeyed, |character, into| into.extend(character.escape_default())) {
        Cow::Owned(escaped) => Cow::Owned(escaped),
        Cow::Borrowed(_) => text,
    }
}

/// The same JSON, with such characters as escapes of JSON. Those that stand outside of its texts are white space.
pub(crate) fn in_json(json: &str) -> Cow<'_, str> {
    let obeyed = |character| !matches!(character, '\n' | '\r' | '\t') && is_obeyed(character);
    escape(json, obeyed, escape_json)
}

/// JSON in ASCII alone.
pub(crate) fn in_ascii_json(json: &str) -> Cow<'_, str> {
    escape(json, |character| !character.is_ascii(), escape_json)
}

fn escape_json(character: char, into: &mut String) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing to a String never fails.
        let _ = write!(into, "\\u{unit:04x}");
    }
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let Some(first) = text.find(&is_escaped) else { return Cow::Borrowed(text) };
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(&text[..first]);
    for character in text[first..].chars() {
        if is_escaped(character) {
            write(character, &mut escaped);
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a terminal may obey the character, or a reader not see it.
fn is_obeyed(character: char) -> bool {
    match character {
        // Joiners belong to the writing of several languages and to emoji.
        '\u{200c}' | '\u{200d}' => false,
        // Marks, embeddings, overrides and isolates of direction; separators of lines; what has no width.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{feff}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        // C0, DEL and C1.
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        let cases = [
            ("plain, Jürgen, 漢字, 👩‍💻", "plain, Jürgen, 漢字, 👩‍💻"),
            ("\x1b]52;c;ZXZpbA==\x07", "\\u{1b}]52;c;ZXZpbA==\\u{7}"),
            ("\u{9b}2J\x7f", "\\u{9b}2J\\u{7f}"),
            ("a\nready  b\r\tc", "a\\nready  b\\r\\tc"),
            ("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}"),
            ("a\u{2028}b\u{feff}\u{e0041}", "a\\u{2028}b\\u{feff}\\u{e0041}"),
        ];
        for (text, expected) in cases {
            assert_eq!(on_one_line(text), expected);
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(in_lines("a\tb\r\nc\n\x1b[2Jd\re"), "a\tb\nc\n\\u{1b}[2Jd\\re");
        assert!(matches!(in_lines("a\nb"), Cow::Borrowed("a\nb")));
    }

    #[test]
    fn json_is_the_same_json() {
        let value = serde_json::json!({"Jürgen": ["a\"\\", "😀", "\u{2028}\u{9b}\x1b", "\u{e0041}"]});
        for (escaped, kept) in
            [(in_json(&value.to_string()), "Jürgen"), (in_ascii_json(&value.to_string()), "J\\u00fcrgen")]
        {
            assert!(escaped.contains(kept) && !escaped.contains(['\u{2028}', '\u{9b}']), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
        assert!(in_ascii_json(&value.to_string()).is_ascii());
    }
}
