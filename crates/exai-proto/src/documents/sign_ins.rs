//! `exai login --list --json`

use serde::{Deserialize, Serialize};

/// `exai login --list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInDocuments {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// The sign-ins that are kept, also those of servers that are configured no more.
    pub sign_ins: Vec<SignInDocument>,
}

/// A sign-in at a server that runs elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInDocument {
    /// The address of the server.
    pub url: String,
    /// The account's name in the configuration, where a server has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The authorization server.
    pub issuer: String,
    /// Whether there is a token; otherwise only what was registered is kept.
    pub signed_in: bool,
    /// What the token allows.
    pub scopes: Vec<String>,
    /// When the present token ends (RFC 3339), if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Whether the token is renewed without a person.
    pub renews: bool,
}
