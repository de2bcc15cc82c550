//! Changing `tokens.json`.

use std::time::Instant;

use exai_os::private;

use crate::edit::{EditError, lock_edits};
use crate::limits::{EDIT_LOCK_TIMEOUT, MAX_NAMED_TOKENS, MAX_SECRET_NAME_CHARS};
use crate::named_token::{
    Entry, FILE_SCHEMA, File, NamedToken, TOKEN_BYTES, TokenFileError, TokenHash, load_named_tokens, to_hex,
};
use crate::secret_store::is_secret_name;
use crate::{Home, Secret};

/// Why the tokens were left as they were.
#[derive(Debug, thiserror::Error)]
pub enum TokenEditError {
    /// The name breaks the rule.
    #[error(
        "`{name}` is no name of a token; it takes 1 to {MAX_SECRET_NAME_CHARS} letters, digits, `_`, `-` or `.`"
    )]
    Name {
        /// The text.
        name: String,
    },
    /// There is a token of this name, or of a name that differs only in case.
    #[error("there is a token `{name}` already")]
    Exists {
        /// The name it has.
        name: String,
    },
    /// There are too many.
    #[error("there are {MAX_NAMED_TOKENS} tokens, which are the most")]
    TooMany,
    /// There is no token of this name.
    #[error("there is no token `{name}`{}", known_sentence(known))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names of those that are there.
        known: Vec<String>,
    },
    /// The file cannot be used. A file that is wrong is never replaced.
    #[error(transparent)]
    File(#[from] TokenFileError),
    /// Another edit goes on, or the file could not be written.
    #[error(transparent)]
    Edit(#[from] EditError),
}

fn known_sentence(known: &[String]) -> String {
    if known.is_empty() { "; there is none".to_owned() } else { format!("; there are: {}", known.join(", ")) }
}

/// Makes a token, and returns it. Nobody can find it out later: the file has a hash of it.
pub fn add_named_token(home: &Home, name: &str) -> Result<Secret, TokenEditError> {
    if !is_secret_name(name) {
        return Err(TokenEditError::Name { name: name.to_owned() });
    }
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    let mut tokens = load_named_tokens(home)?;
    if let Some(twin) = tokens.iter().find(|other| other.name.eq_ignore_ascii_case(name)) {
        return Err(TokenEditError::Exists { name: twin.name.clone() });
    }
    if tokens.len() >= MAX_NAMED_TOKENS {
        return Err(TokenEditError::TooMany);
    }
    let mut random = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut random).expect("BUG: the system has no randomness");
    let token = to_hex(&random);
    let hash = TokenHash::of_shown(&token).expect("BUG: a token has the length of a token");
    tokens.push(NamedToken { name: name.to_owned(), hash, created_at: now_in_seconds() });
    write(&tokens, home)?;
    Ok(Secret::new(token))
}

/// Removes a token. The file goes with the last one.
pub fn remove_named_token(home: &Home, name: &str) -> Result<(), TokenEditError> {
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    let mut tokens = load_named_tokens(home)?;
    let Some(at) = tokens.iter().position(|token| token.name == name) else {
        let known = tokens.into_iter().map(|token| token.name).collect();
        return Err(TokenEditError::Unknown { name: name.to_owned(), known });
    };
    tokens.remove(at);
    if tokens.is_empty() {
        let path = home.named_tokens();
        return private::remove(&path).map_err(|source| EditError::Write { path, source }.into());
    }
    write(&tokens, home)
}

fn now_in_seconds() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn write(tokens: &[NamedToken], home: &Home) -> Result<(), TokenEditError> {
    let file = File { schema: FILE_SCHEMA, tokens: tokens.iter().map(Entry::from).collect() };
    let text = serde_json::to_string_pretty(&file).expect("BUG: texts and numbers are JSON");
    let path = home.named_tokens();
    let written = private::write_atomic(&path, format!("{text}\n").as_bytes());
    written.map_err(|source| EditError::Write { path, source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        (dir, home)
    }

    fn names(home: &Home) -> Vec<String> {
        load_named_tokens(home).unwrap().into_iter().map(|token| token.name).collect()
    }

    #[test]
    fn a_token_is_known_by_its_hash_until_it_is_removed() {
        let (_dir, home) = home();
        let (laptop, phone) =
            (add_named_token(&home, "laptop").unwrap(), add_named_token(&home, "b.2_c-d").unwrap());
        assert!(laptop != phone && laptop.expose().len() == 64);
        let hash = TokenHash::of_shown(laptop.expose()).unwrap();
        let kept = load_named_tokens(&home).unwrap();
        assert!(kept[0].hash.matches(&hash) && !kept[1].hash.matches(&hash), "in their order");
        let file = std::fs::read_to_string(home.named_tokens()).unwrap();
        assert!(!file.contains(laptop.expose()) && !file.contains(phone.expose()), "{file}");
        remove_named_token(&home, "laptop").unwrap();
        assert_eq!(names(&home), ["b.2_c-d"]);
        let error = remove_named_token(&home, "laptop").unwrap_err().to_string();
        assert_eq!(error, "there is no token `laptop`; there are: b.2_c-d");
        remove_named_token(&home, "b.2_c-d").unwrap();
        assert!(!home.named_tokens().exists() && names(&home).is_empty());
    }

    #[test]
    fn names_are_checked_and_the_number_has_a_bound() {
        let (_dir, home) = home();
        for name in ["", "a b", "ä", "a/b", &"x".repeat(MAX_SECRET_NAME_CHARS + 1)] {
            let error = add_named_token(&home, name).unwrap_err();
            assert!(matches!(error, TokenEditError::Name { .. }), "{name}");
        }
        add_named_token(&home, "Laptop").unwrap();
        let error = add_named_token(&home, "laptop").unwrap_err().to_string();
        assert_eq!(error, "there is a token `Laptop` already");
        let full: Vec<NamedToken> = (0..MAX_NAMED_TOKENS)
            .map(|number| NamedToken {
                name: format!("n{number}"),
                hash: TokenHash::of_shown(&format!("{number:064}")).unwrap(),
                created_at: now_in_seconds(),
            })
            .collect();
        write(&full, &home).unwrap();
        assert_eq!(load_named_tokens(&home).unwrap(), full, "as many as there may be can be read");
        assert!(matches!(add_named_token(&home, "more"), Err(TokenEditError::TooMany)));
    }

    #[test]
    fn a_file_that_is_wrong_is_not_replaced() {
        let (_dir, home) = home();
        private::write_atomic(&home.named_tokens(), b"garbage").unwrap();
        for error in [add_named_token(&home, "a").map(drop), remove_named_token(&home, "a")] {
            assert!(matches!(error, Err(TokenEditError::File(TokenFileError::Invalid { .. }))), "{error:?}");
        }
        assert_eq!(std::fs::read(home.named_tokens()).unwrap(), b"garbage");
    }

    #[test]
    fn of_many_that_are_added_at_once_each_is_kept() {
        let (_dir, home) = home();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let home = &home;
                scope.spawn(move || add_named_token(home, &format!("n{number}")).unwrap());
            }
        });
        assert_eq!(names(&home).len(), 8);
    }
}
