//! Rust source without the parts that only people read.

/// Blanks out comments, strings and characters of `source`; all lines stay where they are.
///
/// The function knows enough of the language to tell code from text. A macro with odd tokens may fool it, which leads
/// to a false report rather than to a missed problem.
pub(super) fn only(source: &str) -> String {
    let mut rest = source;
    let mut code = String::with_capacity(source.len());
    while let Some(first) = rest.chars().next() {
        let length = text_length(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    code
}

/// The length in bytes of the comment or literal at the start of `rest`. `before` is the letter before it.
fn text_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    let in_word = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    if !in_word && let Some(length) = raw_string(rest) {
        return length;
    }
    // A lifetime has no closing quote after its first letter.
    let mut letters = rest.chars();
    match (letters.next(), letters.next(), letters.next()) {
        (Some('\''), Some('\\'), _) | (Some('\''), Some(_), Some('\'')) => quoted(rest, '\''),
        _ => 0,
    }
}

/// The length of a literal that starts and ends with `quote` and may contain escapes with `\`.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, letter) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return index + quote.len_utf8();
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string(rest: &str) -> Option<usize> {
    let start = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(*prefix).is_some_and(|more| more.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = rest[start.len()..].chars().take_while(|letter| *letter == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let open = start.len() + hashes + 1;
    Some(rest[open..].find(&end).map_or(rest.len(), |index| open + index + end.len()))
}

/// The length of a block comment, which may contain others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut index = 0;
    while index < rest.len() {
        if rest[index..].starts_with("/*") {
            depth += 1;
            index += 2;
        } else if rest[index..].starts_with("*/") {
            depth -= 1;
            index += 2;
            if depth == 0 {
                return index;
            }
        } else {
            index += rest[index..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Whether `line` has `word` as a whole word.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(index, _)| {
        !line[..index].ends_with(part_of_word) && !line[index + word.len()..].starts_with(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let source = "a /* x /* y */ */ b // c\nd \"e\\\"f\" 'g' '\\'' h<'i> r#\"j\"k\"# br\"l\" var\"m\"";
        let words: Vec<String> = only(source).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["a", "b", "d", "h<'i>", "var"]);
        assert_eq!(only(source).lines().count(), 2);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("unsafe {", "unsafe"));
        assert!(!has_word("allow(unsafe_code)", "unsafe"));
    }
}
