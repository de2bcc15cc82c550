//! A whole command line in the place of a program.

/// How many beginnings of a line are tried as a program.
const MAX_TRIES: usize = 64;

/// Splits a command line into a program and its arguments, or gives `None` if the text is one program, or cannot be split.
///
/// Programs may have spaces in their paths: `is_program` says whether such a program exists.
pub(crate) fn split_command_line(line: &str, is_program: &dyn Fn(&str) -> bool) -> Option<Vec<String>> {
    let line = line.trim();
    if !line.contains(char::is_whitespace) || is_program(line) {
        return None;
    }
    let windows = is_windows_path(line);
    if let Some(end) = find_program(line, windows, is_program) {
        let (program, rest) = line.split_at(end);
        let rest = rest.trim();
        let mut words = vec![program.to_owned()];
        words.extend(split_words(rest, windows)?);
        return (words.len() > 1).then_some(words);
    }
    let words = split_words(line, windows)?;
    (!words.is_empty() && words.first().is_some_and(|program| !program.is_empty())).then_some(words)
}

/// `C:\…` or `\\server\…`: a backslash separates directories and escapes nothing.
fn is_windows_path(line: &str) -> bool {
    let path = line.strip_prefix('"').unwrap_or(line);
    let mut characters = path.chars();
    let (drive, colon, slash) = (characters.next(), characters.next(), characters.next());
    let has_drive = drive.is_some_and(|drive| drive.is_ascii_alphabetic())
        && colon == Some(':')
        && matches!(slash, Some('\\' | '/'));
    has_drive || path.starts_with("\\\\")
}

/// Where a program whose path has spaces ends, if the line begins with one that is not in quotes.
fn find_program(line: &str, windows: bool, is_program: &dyn Fn(&str) -> bool) -> Option<usize> {
    if line.starts_with(['"', '\'']) || !line.contains(['/', '\\']) {
        return None;
    }
    let ends: Vec<usize> =
        line.char_indices().filter(|(_, character)| character.is_whitespace()).map(|(at, _)| at).collect();
    let exists = |end: &&usize| line.get(..**end).is_some_and(is_program);
    // The longest program that exists.
    if let Some(end) = ends.iter().take(MAX_TRIES).rev().find(exists) {
        return Some(*end);
    }
    let has_extension = |end: &usize| {
        let beginning = line.get(..*end).unwrap_or_default().to_ascii_lowercase();
        [".exe", ".cmd", ".bat", ".com", ".ps1"].iter().any(|extension| beginning.ends_with(extension))
    };
    if !windows {
        return None;
    }
    // The program does not exist here: its extension says where it ends.
    ends.iter().copied().chain([line.len()]).find(has_extension)
}

/// Splits as a POSIX shell does, without expanding anything; `None` if a quote is not closed. With `literal` a backslash
/// is a character like any other.
pub(crate) fn split_words(line: &str, literal: bool) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') if !literal => {
                let escaped = characters.next()?;
                let word = word.get_or_insert_default();
                if quote.is_some() && !matches!(escaped, '"' | '\\' | '$' | '`' | '\n') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str, programs: &[&str]) -> Option<String> {
        split_command_line(line, &|program| programs.contains(&program)).map(|words| words.join("|"))
    }

    #[test]
    fn a_line_is_split_as_a_shell_does() {
        for (line, words) in [
            ("npx -y @upstash/context7-mcp", Some("npx|-y|@upstash/context7-mcp")),
            ("npx", None),
            ("", None),
            (r#"npx -y "a b" c'd e'f"#, Some("npx|-y|a b|cd ef")),
            (r"a \  b\ c", Some("a| |b c")),
            (r#"a "\n\"\\" '' "#, Some(r#"a|\n"\|"#)),
            ("a 'b", None),
            ("a b\\", None),
            ("'' b", None),
        ] {
            assert_eq!(split(line, &[]).as_deref(), words, "{line}");
        }
    }

    #[test]
    fn a_program_with_spaces_in_its_path_is_one_word() {
        let node = r"C:\Program Files\nodejs\node.exe";
        let app = "/Applications/My App.app/run";
        for (line, programs, words) in [
            (node, &[node][..], None),
            (node, &[], None),
            (&format!(r"{node} C:\a\b.js --x"), &[node], Some(format!(r"{node}|C:\a\b.js|--x"))),
            (&format!(r"{node} C:\a\b.js"), &[], Some(format!(r"{node}|C:\a\b.js"))),
            (&format!(r#""{node}" "C:\a b\c.js""#), &[], Some(format!(r"{node}|C:\a b\c.js"))),
            (r"C:\tools\run x\y", &[], Some(r"C:\tools\run|x\y".to_owned())),
            (app, &[app], None),
            (&format!("{app} --flag"), &[app], Some(format!("{app}|--flag"))),
            ("/usr/bin/env node", &[], Some("/usr/bin/env|node".to_owned())),
        ] {
            assert_eq!(split(line, programs), words, "{line}");
        }
    }
}
