//! What is kept of a sign-in.

use exai_config::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::clock::unix_time;
use crate::discovery::Discovered;
use crate::identity::Identity;
use crate::scopes::Scopes;
use crate::secret_text::{expose, expose_any};

/// For which server, and as whom, somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The address of the server.
    pub server: Url,
    /// The account's name in the configuration; empty for the only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account: String,
}

/// What is kept of a sign-in: one record for each (issuer, resource, server, account). Several servers may be one resource.
///
/// The file format is JSON with these fields. Times are seconds since 1970. Unknown fields are ignored.
///
/// A file with a field `sealed` holds such a record encrypted: `{"sealed": "XChaCha20-Poly1305", "key": …, "nonce": …,
/// "text": …}`, all in base64. `key` is the first half of the SHA-256 of the key, `nonce` has 24 bytes, and `text` is the
/// encrypted JSON with its tag behind it. The associated data is `exai sign-in 1 ID` for the file `ID.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// For which server, and as whom.
    #[serde(flatten)]
    pub place: Place,
    /// The authorization server, exactly as it calls itself. Nothing in this record goes to another one.
    pub issuer: String,
    /// What the tokens are for.
    pub resource: String,
    /// Where tokens are renewed.
    pub(crate) token_endpoint: Url,
    /// Who we are there.
    pub identity: Identity,
    /// The scopes that were asked for, over all sign-ins.
    pub asked: Scopes,
    /// `None` once signed out: the identity is kept for the next sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

/// The tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// What is sent to the server.
    #[serde(serialize_with = "expose")]
    pub access_token: Secret,
    /// What is sent to the authorization server for the next ones.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_any")]
    pub refresh_token: Option<Secret>,
    /// When they were given.
    pub obtained_at: u64,
    /// When the access token ends, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// What they allow.
    pub scopes: Scopes,
}

impl Record {
    pub(crate) fn new(
        place: Place,
        discovered: &Discovered,
        identity: Identity,
        asked: Scopes,
        tokens: Tokens,
    ) -> Self {
        Record {
            place,
            issuer: discovered.issuer.clone(),
            resource: discovered.resource.clone(),
            token_endpoint: discovered.token_endpoint.clone(),
            identity,
            asked,
            tokens: Some(tokens),
        }
    }

    /// The name of the record, which says nothing about its content. It begins with that of its place.
    pub fn id(&self) -> String {
        format!("{}-{}", self.place.id(), digest(&[&self.issuer, &self.resource]))
    }
}

impl Place {
    /// The address as it is shown: a key may be in its query.
    pub fn shown_server(&self) -> String {
        let mut url = self.server.clone();
        url.set_query(None);
        url.to_string()
    }

    /// What the names of all records of this place begin with.
    pub(crate) fn id(&self) -> String {
        digest(&[self.server.as_str(), &self.account])
    }
}

impl Tokens {
    /// Whether the access token has less than `seconds` left.
    pub fn ends_within(&self, seconds: u64) -> bool {
        self.expires_at.is_some_and(|end| end <= unix_time().saturating_add(seconds))
    }

    /// How long the access token was to live; `None` when that was not said.
    pub fn lifetime(&self) -> Option<u64> {
        self.expires_at.map(|end| end.saturating_sub(self.obtained_at))
    }
}

/// What tells an access token from others, and gives nothing of it away.
pub fn fingerprint(token: &Secret) -> String {
    digest(&[token.expose()])
}

/// The first half of a hash of these texts.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let [first, second] =
        [&digest[..8], &digest[8..16]].map(|half| half.try_into().map_or(0, u64::from_be_bytes));
    format!("{first:016x}{second:016x}")
}
