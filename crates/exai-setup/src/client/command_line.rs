//! A command line in one text, split into words.

/// Splits a command line into words, as a shell would: blanks separate, quotes hold together.
///
/// A backslash is a character of a Windows path, unless a quote, a blank or a backslash in double quotes follows it. `None` if
/// a quote does not end.
pub(crate) fn split_command_line(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => {
                let escapes = |next: &char| match quote {
                    None => matches!(next, '"' | '\'' | ' '),
                    Some(_) => matches!(next, '"' | '\\'),
                };
                word.get_or_insert_default().push(characters.next_if(escapes).unwrap_or('\\'));
            }
            (end, Some(begin)) if end == begin => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (blank, None) if blank.is_whitespace() => words.extend(word.take()),
            (other, _) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_like_a_shell_does() {
        let cases: &[(&str, &[&str])] = &[
            ("npx -y  @scope/server", &["npx", "-y", "@scope/server"]),
            (r#""C:\Program Files\node.exe" C:\a\b.js"#, &[r"C:\Program Files\node.exe", r"C:\a\b.js"]),
            (r#"sh -c 'echo "$A"' "" a\ b "c \" \\""#, &["sh", "-c", "echo \"$A\"", "", "a b", "c \" \\"]),
            ("a\"b c\"d", &["ab cd"]),
            ("  ", &[]),
        ];
        for (line, words) in cases {
            assert_eq!(
                split_command_line(line).as_deref(),
                Some(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
                "{line}"
            );
        }
        assert_eq!(split_command_line("a 'b"), None);
    }
}
