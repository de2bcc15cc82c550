//! Names of files in texts for people and models.

use std::path::Path;

/// A longer text is cut where it is shown, in characters.
const MAX_CHARS: usize = 300;

/// A text in one line, in which every character can be seen.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (index, char) in text.chars().enumerate() {
        if index == MAX_CHARS {
            shown.push('…');
            break;
        }
        if is_unseen(char) { shown.extend(char.escape_unicode()) } else { shown.push(char) }
    }
    shown
}

pub(super) fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

/// Characters that end a line, change the direction of the text, or take no place.
pub(super) fn is_unseen(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_line_and_an_end() {
        assert_eq!(shown("Äpfel/名.rs"), "Äpfel/名.rs");
        assert_eq!(shown("a\n--- \u{202E}x\u{2028}"), "a\\u{a}--- \\u{202e}x\\u{2028}");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 301);
    }
}
