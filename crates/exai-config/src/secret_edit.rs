//! Changing `secrets.toml`.

use std::time::Instant;

use exai_os::private;

use crate::edit::{EditError, lock_edits};
use crate::limits::{EDIT_LOCK_TIMEOUT, MAX_SECRET_BYTES, MAX_SECRET_NAME_CHARS};
use crate::secret_store::{SecretError, SecretStore, is_secret_name};
use crate::{Home, Secret};

/// Why the secrets were left as they were. No variant holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretEditError {
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
    /// The secrets cannot be read. A file that is wrong is never replaced.
    #[error(transparent)]
    Store(#[from] SecretError),
    /// Another edit goes on, or the file could not be written.
    #[error(transparent)]
    Edit(#[from] EditError),
}

fn known_sentence(known: &[String]) -> String {
    if known.is_empty() { "; none is kept".to_owned() } else { format!("; there are: {}", known.join(", ")) }
}

/// Keeps a secret. Returns whether another value of this name was replaced.
pub fn set_secret(home: &Home, name: &str, value: Secret) -> Result<bool, SecretEditError> {
    if !is_secret_name(name) {
        return Err(SecretEditError::Name { name: name.to_owned() });
    }
    if value.expose().len() > MAX_SECRET_BYTES {
        return Err(SecretEditError::TooLong);
    }
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    let mut store = SecretStore::load(home)?;
    let before = store.values.insert(name.to_owned(), value);
    write(&store, home)?;
    Ok(before.is_some())
}

/// Removes a secret. The file goes with the last one.
pub fn remove_secret(home: &Home, name: &str) -> Result<(), SecretEditError> {
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    let mut store = SecretStore::load(home)?;
    if store.values.remove(name).is_none() {
        let known = store.names().map(ToOwned::to_owned).collect();
        return Err(SecretEditError::Unknown { name: name.to_owned(), known });
    }
    if store.values.is_empty() {
        let path = home.secrets();
        return std::fs::remove_file(&path).map_err(|source| EditError::Write { path, source }.into());
    }
    write(&store, home)
}

fn write(store: &SecretStore, home: &Home) -> Result<(), SecretEditError> {
    let mut document = toml_edit::DocumentMut::new();
    for (name, value) in &store.values {
        document.insert(name, toml_edit::value(value.expose()));
    }
    let path = home.secrets();
    let written = private::write_atomic(&path, document.to_string().as_bytes());
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
            assert!(matches!(error, SecretEditError::Name { .. }), "{name}");
        }
        let long = Secret::new("x".repeat(MAX_SECRET_BYTES + 1));
        assert!(matches!(set_secret(&home, "A", long), Err(SecretEditError::TooLong)));
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
            assert!(
                matches!(kept, SecretEditError::Store(SecretError::Invalid { .. })),
                "a broken file is not replaced"
            );
        }
    }
}
