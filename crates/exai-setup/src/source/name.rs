//! Names that other tools allow, turned into names of servers in `config.toml`.

/// How long the name of a server may be.
pub const MAX_NAME_CHARS: usize = 24;

/// The name that exai itself has in the files of clients.
const RESERVED: &str = "exai";

/// A valid name, and whether it is another one than was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidName {
    /// `[A-Za-z0-9]+([-_][A-Za-z0-9]+)*`, at most [`MAX_NAME_CHARS`] characters, never `exai`.
    pub name: String,
    /// Whether it differs from the name that was asked for.
    pub changed: bool,
}

/// Turns a name that another tool allows into one that is valid here and that none of `taken` equals without regard to
/// case.
///
/// Of `@scope/x`, `io.github.x/y` and `https://…/y` the last part counts.
pub fn make_valid_name<'a>(wanted: &str, taken: impl IntoIterator<Item = &'a str>) -> ValidName {
    let mut taken: Vec<String> = taken.into_iter().map(str::to_ascii_lowercase).collect();
    taken.push(RESERVED.to_owned());
    let is_free = |name: &str| !taken.contains(&name.to_ascii_lowercase());
    let base = clean(wanted);
    let base = shorten(&base, MAX_NAME_CHARS).to_owned();
    let mut name = base.clone();
    // Ends, because `taken` is finite.
    let mut number = 2_usize;
    while !is_free(&name) {
        let ending = format!("-{number}");
        name = format!("{}{ending}", shorten(&base, MAX_NAME_CHARS.saturating_sub(ending.len())));
        number += 1;
    }
    ValidName { changed: name != wanted, name }
}

/// The words of the last part of a name, joined by the marks that stood between them.
fn clean(wanted: &str) -> String {
    let whole = wanted.trim().trim_end_matches('/');
    let last = whole.rsplit('/').find(|part| part.contains(|c: char| c.is_ascii_alphanumeric()));
    let mut name = String::new();
    let mut mark = None;
    for character in last.unwrap_or_default().chars() {
        if character.is_ascii_alphanumeric() {
            if !name.is_empty() {
                name.extend(mark);
            }
            mark = None;
            name.push(character);
        } else {
            // One `_` alone stays; all else is `-`.
            mark = Some(if mark.is_none() && character == '_' { '_' } else { '-' });
        }
    }
    if name.is_empty() { "server".to_owned() } else { name }
}

/// At most `most` characters, cut between words where at least half of them remain.
fn shorten(name: &str, most: usize) -> &str {
    let Some(cut) = name.get(..most).filter(|_| name.len() > most) else { return name };
    let marks = ['-', '_'];
    let between_words = name.get(most..).is_some_and(|rest| rest.starts_with(marks));
    let cut = match cut.rfind(marks) {
        Some(at) if !between_words && at * 2 >= most => cut.get(..at).unwrap_or(cut),
        _ => cut,
    };
    cut.trim_end_matches(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_other_tools_become_valid() {
        for (wanted, name) in [
            ("time", "time"),
            ("brave-search", "brave-search"),
            ("a_b-c", "a_b-c"),
            ("Sequential Thinking", "Sequential-Thinking"),
            ("microsoft.docs.mcp", "microsoft-docs-mcp"),
            ("awslabs.aws-iac-mcp-server", "awslabs-aws-iac-mcp"),
            ("@modelcontextprotocol/server-everything", "server-everything"),
            ("io.github.github/github-mcp-server", "github-mcp-server"),
            ("Infrastructure as Code MCP Server", "Infrastructure-as-Code"),
            ("my__server", "my-server"),
            ("-x-", "x"),
            ("a/", "a"),
            ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwx"),
            ("abcdefghijklmnopqrst-uvw-xyz", "abcdefghijklmnopqrst-uvw"),
            ("exai", "exai-2"),
            ("EXAI", "EXAI-2"),
            ("", "server"),
            ("日本語", "server"),
            ("日本/x", "x"),
        ] {
            let valid = make_valid_name(wanted, []);
            assert_eq!(valid, ValidName { name: name.into(), changed: name != wanted }, "{wanted}");
        }
    }

    #[test]
    fn names_are_unique_without_regard_to_case() {
        let taken = ["Time", "time-2", "abcdefghijklmnopqrstuvwx"];
        assert_eq!(make_valid_name("time", taken).name, "time-3");
        assert_eq!(make_valid_name("ABCDEFGHIJKLMNOPQRSTUVWX", taken).name, "ABCDEFGHIJKLMNOPQRSTUV-2");
        assert_eq!(make_valid_name("other", taken), ValidName { name: "other".into(), changed: false });
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_valid_name(wanted in ".{0,60}", taken in prop::collection::vec("[a-z]{1,3}(-2)?", 0..9)) {
            let valid = make_valid_name(&wanted, taken.iter().map(String::as_str));
            prop_assert_eq!(exai_config::server_name::check(&valid.name), Ok(()));
            prop_assert!(!taken.iter().any(|name| name.eq_ignore_ascii_case(&valid.name)));
            prop_assert!(!valid.name.eq_ignore_ascii_case("exai"));
            prop_assert_eq!(valid.changed, valid.name != wanted);
            // A valid name that is free stays as it is.
            let again = make_valid_name(&valid.name, []);
            prop_assert_eq!(again.name, valid.name);
        }
    }
}
