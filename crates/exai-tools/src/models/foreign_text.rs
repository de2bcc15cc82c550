//! What endpoints say in errors, made fit to be shown: short, in one line, and without the secrets that were sent to them.

use exai_config::Secret;
use serde::de::IgnoredAny;

use super::fault::{Fault, WEB_PAGE};
use super::limits::MAX_QUOTED_CHARS;

/// A shorter secret is not looked for: it would take words apart.
const MIN_SECRET_BYTES: usize = 6;

/// Cleans the texts of one endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cleaner {
    secrets: Vec<Secret>,
}

impl Cleaner {
    /// A cleaner that takes these values out: the key and the headers that the endpoint was sent.
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<Secret> =
            secrets.into_iter().filter(|secret| secret.expose().len() >= MIN_SECRET_BYTES).collect();
        // A secret that is a part of another one must not take the other one apart.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Cleaner { secrets }
    }

    /// The text in one line of at most [`MAX_QUOTED_CHARS`] characters.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose(), "<redacted>");
        }
        let visible = text.chars().map(|char| if is_invisible(char) { ' ' } else { char });
        let mut line = String::new();
        let mut chars = 0;
        for char in visible {
            // Runs of white space become one space.
            if char.is_whitespace() && (line.is_empty() || line.ends_with(' ')) {
                continue;
            }
            if chars == MAX_QUOTED_CHARS {
                line.push('…');
                break;
            }
            line.push(if char.is_whitespace() { ' ' } else { char });
            chars += 1;
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The fault of an endpoint that has sent this in place of an answer.
    pub(crate) fn nonsense(&self, bytes: &[u8]) -> Fault {
        let begun = bytes.trim_ascii_start();
        let what = match begun.first() {
            Some(b'<') => WEB_PAGE,
            Some(b'{' | b'[') if serde_json::from_slice::<IgnoredAny>(begun).is_ok() => {
                "JSON of another kind"
            }
            Some(b'{' | b'[') => "broken JSON",
            Some(_) => "text",
            None => "nothing",
        };
        Fault::Nonsense { what, line: self.first_line(bytes) }
    }

    /// The first line that says something, cleaned.
    pub(crate) fn first_line(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        self.clean(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default())
    }
}

/// Control characters, and those that change how others are shown or have no width.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(char, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_short_line_without_secrets() {
        let cleaner = Cleaner::new(["sk-12345", "sk-12345-long", "abc"].map(Secret::new));
        for (text, expected) in [
            ("Incorrect key sk-12345-long.", "Incorrect key <redacted>."),
            ("sk-12345sk-12345", "<redacted><redacted>"),
            ("an abc is too short for a secret", "an abc is too short for a secret"),
            ("a\u{1b}[31mred\r\n\tb  c\u{202e}d\n", "a [31mred b c d"),
            ("   ", ""),
        ] {
            assert_eq!(cleaner.clean(text), expected);
        }
        let long = cleaner.clean(&"ä".repeat(501));
        assert_eq!((long.chars().count(), long.ends_with("ä…")), (501, true));
        assert_eq!(cleaner.first_line(b"\n \n<html>\n<b>"), "<html>");
        assert_eq!(cleaner.first_line(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }
}
