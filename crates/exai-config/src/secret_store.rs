//! `secrets.toml`: the values of `${secret:NAME}`.
//!
//! The file holds `NAME = "VALUE"` lines, is private to the account (mode 0600), and is apart from `config.toml`, so that
//! the configuration can be shown, shared and committed. The daemon reads the file when it starts a server. No value ever
//! reaches a log, a document or an error.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use exai_os::private;

use crate::edit::{EditError, lock_edits};
use crate::limits::{EDIT_LOCK_TIMEOUT, MAX_SECRETS_BYTES};
pub use crate::limits::{MAX_SECRET_BYTES, MAX_SECRET_NAME_CHARS};
use crate::{Home, Secret};

/// All secrets of one state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretStore {
    values: BTreeMap<String, Secret>,
}

/// Why the secrets cannot be read or changed. No variant holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The name breaks the rule.
    #[error(
        "`{name}` is no name of a secret; it takes 1 to {MAX_SECRET_NAME_CHARS} letters, digits, `_`, `-` or `.`"
    )]
    Name {
        /// The text.
        name: String,
    },
    /// The value is too long.
    #[error("a secret may have {MAX_SECRET_BYTES} bytes")]
    TooLong,
    /// There is no secret of this name.
    #[error("there is no secret `{name}`{}", known_sentence(known))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names of those that are there.
        known: Vec<String>,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not a list of names with texts.
    #[error("{}, line {line}: each line must be NAME = \"VALUE\"", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Another edit goes on, or the file could not be written.
    #[error(transparent)]
    Edit(#[from] EditError),
}

fn known_sentence(known: &[String]) -> String {
    if known.is_empty() { "; none is kept".to_owned() } else { format!("; there are: {}", known.join(", ")) }
}

/// Whether a text can be the name of a secret.
pub fn is_secret_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= MAX_SECRET_NAME_CHARS && name.bytes().all(fits)
}

impl SecretStore {
    /// Reads the secrets. Without a file there are none.
    pub fn load(home: &Home) -> Result<Self, SecretError> {
        let path = home.secrets();
        let bytes = match private::read(&path, MAX_SECRETS_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(SecretStore::default()),
            Err(source) => return Err(SecretError::Read { path, source }),
        };
        let text = String::from_utf8_lossy(&bytes);
        match toml::from_str(&text) {
            Ok(values) => Ok(SecretStore { values }),
            // The error of the parser may quote a value.
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
                Err(SecretError::Invalid { path, line })
            }
        }
    }

    /// The value of a secret.
    pub fn find(&self, name: &str) -> Option<&Secret> {
        self.values.get(name)
    }

    /// The names of all secrets, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    fn write(&self, home: &Home) -> Result<(), SecretError> {
        let mut document = toml_edit::DocumentMut::new();
        for (name, value) in &self.values {
            document.insert(name, toml_edit::value(value.expose()));
        }
        let path = home.secrets();
        let written = private::write_atomic(&path, document.to_string().as_bytes());
        written.map_err(|source| EditError::Write { path, source }.into())
    }
}

/// Keeps a secret. Returns whether another value of this name was replaced.
pub fn set_secret(home: &Home, name: &str, value: Secret) -> Result<bool, SecretError> {
    if !is_secret_name(name) {
        return Err(SecretError::Name { name: name.to_owned() });
    }
    if value.expose().len() > MAX_SECRET_BYTES {
        return Err(SecretError::TooLong);
    }
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    let mut store = SecretStore::load(home)?;
    let before = store.values.insert(name.to_owned(), value);
    store.write(home)?;
    Ok(before.is_some())
}

/// Removes a secret.
pub fn remove_secret(home: &Home, name: &str) -> Result<(), SecretError> {
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    let mut store = SecretStore::load(home)?;
    if store.values.remove(name).is_none() {
        let known = store.names().map(ToOwned::to_owned).collect();
        return Err(SecretError::Unknown { name: name.to_owned(), known });
    }
    store.write(home)
}

/// Which secrets a text refers to.
pub fn secrets_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("${secret:").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
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

    #[test]
    fn what_is_kept_is_found_again_whatever_the_value_is() {
        let (_dir, home) = home();
        assert_eq!(SecretStore::load(&home).unwrap(), SecretStore::default());
        let odd = "a\"b\\c\n${env:X} 'ä' = #";
        assert!(!set_secret(&home, "TOKEN", Secret::new("first")).unwrap());
        assert!(set_secret(&home, "TOKEN", Secret::new(odd)).unwrap());
        assert!(!set_secret(&home, "a.b-c_D", Secret::new("")).unwrap());
        let store = SecretStore::load(&home).unwrap();
        assert_eq!(store.names().collect::<Vec<_>>(), ["TOKEN", "a.b-c_D"]);
        assert_eq!(store.find("TOKEN").map(Secret::expose), Some(odd));
        remove_secret(&home, "TOKEN").unwrap();
        assert_eq!(SecretStore::load(&home).unwrap().find("TOKEN"), None);
        let error = remove_secret(&home, "TOKEN").unwrap_err().to_string();
        assert_eq!(error, "there is no secret `TOKEN`; there are: a.b-c_D");
    }

    #[test]
    fn names_and_lengths_are_checked() {
        let (_dir, home) = home();
        for name in ["", "a b", "ä", "a}", &"x".repeat(MAX_SECRET_NAME_CHARS + 1)] {
            let error = set_secret(&home, name, Secret::new("v")).unwrap_err();
            assert!(matches!(error, SecretError::Name { .. }), "{name}");
        }
        let long = Secret::new("x".repeat(MAX_SECRET_BYTES + 1));
        assert!(matches!(set_secret(&home, "A", long), Err(SecretError::TooLong)));
    }

    #[test]
    fn the_error_of_a_broken_file_names_the_line_and_shows_no_value() {
        let (_dir, home) = home();
        for text in ["A = \"hidden\"\nB = hidden\n", "A = \"hidden\"\nB = 5\n", "A = \"hidden\"\n[hidden]\n"]
        {
            private::write_atomic(&home.secrets(), text.as_bytes()).unwrap();
            let error = SecretStore::load(&home).unwrap_err();
            let words = format!("{error} {error:?}");
            assert!(words.contains("line 2") && !words.contains("hidden"), "{words}");
            let kept = set_secret(&home, "C", Secret::new("v")).unwrap_err();
            assert!(matches!(kept, SecretError::Invalid { .. }), "a broken file is not replaced");
        }
    }

    #[test]
    fn references_are_found() {
        let found: Vec<&str> = secrets_in("x${secret:A}${env:B}${secret:C.d}${secret:").collect();
        assert_eq!(found, ["A", "C.d"]);
    }
}
