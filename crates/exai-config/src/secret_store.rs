//! `secrets.toml`: the values of `${secret:NAME}`.
//!
//! The file holds `NAME = "VALUE"` lines, is private to the account (mode 0600), and is apart from `config.toml`, so that
//! the configuration can be shown, shared and committed. The daemon reads the file when it starts a server. No value ever
//! reaches a log, a document or an error.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use exai_os::private;

use crate::limits::{MAX_SECRET_NAME_CHARS, MAX_SECRETS_BYTES};
use crate::{Home, Secret};

/// All secrets of one state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretStore {
    pub(crate) values: BTreeMap<String, Secret>,
}

/// Why the secrets cannot be read. No variant holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
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
}

/// Which secrets a text refers to.
pub fn secrets_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("${secret:").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found() {
        let found: Vec<&str> = secrets_in("x${secret:A}${env:B}${secret:C.d}${secret:").collect();
        assert_eq!(found, ["A", "C.d"]);
    }
}
