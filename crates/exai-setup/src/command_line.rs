//! Command lines in one text: a whole line in the place of a program, and arguments.

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
    let windows = has_windows_path(line);
    if let Some(end) = find_program(line, is_program) {
        let (program, rest) = line.split_at(end);
        let mut words = vec![program.to_owned()];
        words.extend(split(rest, windows)?);
        return (words.len() > 1).then_some(words);
    }
    let words = split(line, windows)?;
    (!words.is_empty() && words.first().is_some_and(|program| !program.is_empty())).then_some(words)
}

/// Whether a line begins with `C:\…` or `\\server\…`.
fn is_windows_path(line: &str) -> bool {
    let path = line.strip_prefix('"').unwrap_or(line);
    let mut characters = path.chars();
    let (drive, colon, slash) = (characters.next(), characters.next(), characters.next());
    let has_drive = drive.is_some_and(|drive| drive.is_ascii_alphabetic())
        && colon == Some(':')
        && matches!(slash, Some('\\' | '/'));
    has_drive || path.starts_with("\\\\")
}

fn has_windows_path(line: &str) -> bool {
    is_windows_path(line) || line.contains(":\\")
}

/// Where a program whose path has spaces ends, if the line begins with one that is not in quotes.
fn find_program(line: &str, is_program: &dyn Fn(&str) -> bool) -> Option<usize> {
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
    if !is_windows_path(line) {
        return None;
    }
    // The program does not exist here: its extension says where it ends.
    ends.iter().copied().chain([line.len()]).find(has_extension)
}

/// Splits a line into words as a shell does, without expanding anything; `None` if a quote does not end.
///
/// Nobody knows for which system a line was written. So a backslash is a character like any other, unless it stands before
/// something that a shell would not take as it is: `dist\\index.js` stays whole, and so does a backslash at the end.
pub(crate) fn split_words(line: &str) -> Option<Vec<String>> {
    split(line, has_windows_path(line))
}

/// With `windows` a backslash escapes quotes alone, as programs of Windows read their command lines.
fn split(line: &str, windows: bool) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => {
                let is_escaped = |next: &char| match next {
                    '"' => true,
                    '\'' => quote.is_none(),
                    '\\' | '$' | '`' => !windows,
                    blank => blank.is_whitespace() && quote.is_none() && !windows,
                };
                word.get_or_insert_default().push(characters.next_if(is_escaped).unwrap_or('\\'));
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
            ("npx -y  @scope/server", Some("npx|-y|@scope/server")),
            (r#"sh -c 'echo "$A"' "" a\ b "c \" \\""#, Some(r#"sh|-c|echo "$A"||a b|c " \"#)),
            ("a\"b c\"d e", Some("ab cd|e")),
            (r"node dist\index.js a\'b \\ \$A", Some(r"node|dist\index.js|a'b|\|$A")),
            (r#"a "\n\"\\" '' "#, Some(r#"a|\n"\|"#)),
            ("a 'b", None),
            ("a b\\", Some("a|b\\")),
            ("'' b", None),
            ("  ", None),
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
            (&format!(r#""{node}" C:\a\b.js"#), &[], Some(format!(r"{node}|C:\a\b.js"))),
            (r"C:\tools\run x\y", &[], Some(r"C:\tools\run|x\y".to_owned())),
            (r"npx x C:\data\ y", &[], Some(r"npx|x|C:\data\|y".to_owned())),
            (
                r#"\\host\run "\\host\a b" "{\"a\": 1}""#,
                &[],
                Some(r#"\\host\run|\\host\a b|{"a": 1}"#.to_owned()),
            ),
            (app, &[app], None),
            (&format!("{app} --flag"), &[app], Some(format!("{app}|--flag"))),
            ("/usr/bin/env node", &[], Some("/usr/bin/env|node".to_owned())),
        ] {
            assert_eq!(split(line, programs), words, "{line}");
        }
    }
}
