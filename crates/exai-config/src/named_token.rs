//! `tokens.json`: the tokens that a person gives to clients, one by one and each with a name, so that each can be taken back
//! by itself.
//!
//! The file holds a hash of each token and not the token. A token has 256 random bits, so nobody finds it by trying, and a
//! plain hash is enough.

use std::fmt;
use std::io;
use std::path::PathBuf;

use exai_os::private;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Home;
use crate::limits::{MAX_NAMED_TOKENS, MAX_TOKEN_FILE_BYTES};
use crate::secret_store::is_secret_name;

/// Random bytes in a token. It is written with two digits for each.
pub(crate) const TOKEN_BYTES: usize = 32;
/// The form of the file. Another one may restrict what a token is good for, so it is not read.
pub(crate) const FILE_SCHEMA: u32 = 1;

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

/// One token, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedToken {
    /// Its name. No two names differ in case only.
    pub name: String,
    /// Its hash.
    pub hash: TokenHash,
    /// When it was made.
    pub created_at: jiff::Timestamp,
}

/// Why the file cannot be used. No variant holds anything that is in it.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not what `exai token add` writes.
    #[error("{}: {what}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) schema: u32,
    pub(crate) tokens: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    name: String,
    sha256: String,
    created_at: String,
}

impl TokenHash {
    /// The hash of what a client has shown; `None` if that cannot be a token of ours, whatever its digits are.
    pub fn of_shown(shown: &str) -> Option<TokenHash> {
        (shown.len() == 2 * TOKEN_BYTES).then(|| TokenHash(Sha256::digest(shown.as_bytes()).into()))
    }

    /// Whether both are the same. Takes the same time wherever they differ.
    pub fn matches(&self, other: &TokenHash) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    fn from_hex(text: &str) -> Option<TokenHash> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        bytes.filter(|_| rest.is_empty())?.try_into().ok().map(TokenHash)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

impl TokenFileError {
    /// Whether the system did not let us read the file, which says nothing of what is in it.
    pub fn is_of_the_system(&self) -> bool {
        matches!(self, TokenFileError::Read { source, .. } if source.raw_os_error().is_some())
    }
}

impl From<&NamedToken> for Entry {
    fn from(token: &NamedToken) -> Self {
        Entry {
            name: token.name.clone(),
            sha256: to_hex(&token.hash.0),
            created_at: token.created_at.to_string(),
        }
    }
}

impl Entry {
    /// The error reads after "the token".
    fn check(self, known: &[NamedToken]) -> Result<NamedToken, &'static str> {
        let Entry { name, sha256, created_at } = self;
        if !is_secret_name(&name) {
            return Err("has a `name` that is none");
        }
        if known.iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
            return Err("has the `name` of another one");
        }
        let hash = TokenHash::from_hex(&sha256).ok_or("has a `sha256` that is none")?;
        if known.iter().any(|other| other.hash == hash) {
            return Err("is the same as another one");
        }
        let created_at = created_at.parse().map_err(|_| "has a `created_at` that is no time")?;
        Ok(NamedToken { name, hash, created_at })
    }
}

/// Reads the tokens, in the order in which they were made. Without a file there are none.
pub fn load_named_tokens(home: &Home) -> Result<Vec<NamedToken>, TokenFileError> {
    let path = home.named_tokens();
    let bytes = match private::read(&path, MAX_TOKEN_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(TokenFileError::Read { path, source }),
    };
    parse(&bytes).map_err(|what| TokenFileError::Invalid { path, what })
}

fn parse(bytes: &[u8]) -> Result<Vec<NamedToken>, String> {
    // The words of the parser may quote what somebody has put there.
    let file: File = serde_json::from_slice(bytes).map_err(|error| {
        format!("this is no list of tokens (line {}, column {})", error.line(), error.column())
    })?;
    if file.schema != FILE_SCHEMA {
        return Err(format!("it has schema {}, and this exai reads {FILE_SCHEMA}", file.schema));
    }
    if file.tokens.len() > MAX_NAMED_TOKENS {
        return Err(format!("it holds {} tokens, and {MAX_NAMED_TOKENS} are the most", file.tokens.len()));
    }
    let mut tokens = Vec::new();
    for (at, entry) in file.tokens.into_iter().enumerate() {
        let token = entry.check(&tokens).map_err(|what| format!("token {} {what}", at + 1))?;
        tokens.push(token);
    }
    Ok(tokens)
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(&str, &str, &str)]) -> String {
        let entry = |(name, sha256, created_at): &(&str, &str, &str)| {
            format!(r#"{{"name":"{name}","sha256":"{sha256}","created_at":"{created_at}"}}"#)
        };
        let entries: Vec<String> = entries.iter().map(entry).collect();
        format!(r#"{{"schema":1,"tokens":[{}]}}"#, entries.join(","))
    }

    const AT: &str = "2026-11-23T10:00:00Z";

    #[test]
    fn what_is_not_a_list_of_tokens_lets_nobody_in_and_is_not_quoted() {
        let (one, other) = ("ab".repeat(32), "cd".repeat(32));
        assert_eq!(parse(file(&[("a", &one, AT), ("b", &other, AT)]).as_bytes()).unwrap().len(), 2);
        let many: Vec<String> = (0..=MAX_NAMED_TOKENS).map(|number| format!("{number:064x}")).collect();
        let many: Vec<(&str, &str, &str)> =
            many.iter().map(|hash| (hash.as_str(), hash.as_str(), AT)).collect();
        for (text, what) in [
            (String::new(), "line 1"),
            ("hidden".to_owned(), "line 1, column 1"),
            (r#"{"schema":1,"tokens":"hidden"}"#.to_owned(), "no list of tokens"),
            (r#"{"schema":2,"tokens":[]}"#.to_owned(), "schema 2"),
            (r#"{"schema":1,"tokens":[],"hidden":1}"#.to_owned(), "no list of tokens"),
            (file(&[("a", &one, AT)]).replace("}]", ",\"hidden\":1}]"), "no list of tokens"),
            (file(&[("hid den", &one, AT)]), "token 1 has a `name`"),
            (file(&[("", &one, AT)]), "token 1 has a `name`"),
            (file(&[("a", &one, AT), ("A", &other, AT)]), "token 2 has the `name` of another"),
            (file(&[("a", &one, AT), ("b", &one, AT)]), "token 2 is the same"),
            (file(&[("a", "hidden", AT)]), "token 1 has a `sha256`"),
            (file(&[("a", &one[1..], AT)]), "token 1 has a `sha256`"),
            (file(&[("a", &"äb".repeat(32), AT)]), "token 1 has a `sha256`"),
            (file(&[("a", &one, "hidden")]), "token 1 has a `created_at`"),
            (file(&many), "are the most"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(what) && !error.contains("hid"), "{text}: {error}");
        }
    }

    #[test]
    fn only_what_has_the_length_of_a_token_is_hashed() {
        let token = "0".repeat(64);
        let hash = TokenHash::of_shown(&token).unwrap();
        assert_eq!(to_hex(&hash.0), "60e05bd1b195af2f94112fa7197a5c88289058840ce7c6df9693756bc6250f55");
        assert!(hash.matches(&TokenHash::from_hex(&to_hex(&hash.0)).unwrap()));
        assert!(!hash.matches(&TokenHash::of_shown(&"1".repeat(64)).unwrap()));
        for shown in ["", "0", &"0".repeat(63), &"0".repeat(65)] {
            assert!(TokenHash::of_shown(shown).is_none(), "{shown}");
        }
        assert_eq!(format!("{hash:?}"), "TokenHash");
    }
}
