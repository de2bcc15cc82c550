//! The rule for server names: they become part of tool names, file names and URLs.

use crate::limits::MAX_SERVER_NAME_CHARS;

/// Why a text is no server name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is none.
    #[error("a server needs a name")]
    Empty,
    /// See [`MAX_SERVER_NAME_CHARS`].
    #[error("the server name `{name}` has {length} characters, and {MAX_SERVER_NAME_CHARS} are the most")]
    TooLong {
        /// The text.
        name: String,
        /// Its length in characters.
        length: usize,
    },
    /// `__` stands between server and tool in the aggregated name of a tool.
    #[error("the server name `{name}` contains `__`, which separates server and tool")]
    Separator {
        /// The text.
        name: String,
    },
    /// A character outside `[A-Za-z0-9_-]`.
    #[error("the server name `{name}` contains `{character}`; letters, digits, `-` and `_` are allowed")]
    Character {
        /// The text.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// `-` and `_` only ever stand between letters and digits, one at a time.
    #[error("in the server name `{name}` each `-` or `_` must stand between letters or digits")]
    Punctuation {
        /// The text.
        name: String,
    },
}

/// Checks `[A-Za-z0-9]+([-_][A-Za-z0-9]+)*` with at most [`MAX_SERVER_NAME_CHARS`] characters. That names are unique
/// without regard to case is the configuration's to check.
pub fn check(name: &str) -> Result<(), NameError> {
    let owned = || name.to_owned();
    let punctuation = |character: char| matches!(character, '-' | '_');
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let allowed = |character: &char| character.is_ascii_alphanumeric() || punctuation(*character);
    if let Some(character) = name.chars().find(|character| !allowed(character)) {
        return Err(NameError::Character { name: owned(), character });
    }
    if name.len() > MAX_SERVER_NAME_CHARS {
        return Err(NameError::TooLong { name: owned(), length: name.len() });
    }
    if name.contains("__") {
        return Err(NameError::Separator { name: owned() });
    }
    // A part between two marks, or beyond the first or last, that is empty.
    if name.split(punctuation).any(str::is_empty) {
        return Err(NameError::Punctuation { name: owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_rule() {
        for good in ["a", "Everything", "exai-py", "a_b-c", "9", "x23456789012345678901234"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in
            ["", "-a", "a-", "_", "a--b", "a-_b", "a__b", "a.b", "a b", "ä", "x234567890123456789012345"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check("a__b"), Err(NameError::Separator { name: "a__b".into() }));
    }
}
