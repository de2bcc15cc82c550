//! Sign-ins at servers elsewhere: those that there are (`exai login --list --json`), and what one would need.

use serde::{Deserialize, Serialize};

/// `exai login --list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInDocuments {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// The sign-ins that are kept, also those of servers that are configured no more.
    pub sign_ins: Vec<SignInDocument>,
    /// Whether the files of sign-ins are sealed from now on, with a key that the system's keyring keeps. Otherwise they are
    /// plain files that only this account can read.
    #[serde(default)]
    pub sealed: bool,
    /// Why they are plain; it reads after "since ".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_why: Option<String>,
    /// Why files that are sealed cannot be read, one sentence for each of these files. They are not in `sign_ins`.
    #[serde(default)]
    pub unread: Vec<String>,
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
    /// Whether its file is sealed.
    #[serde(default)]
    pub sealed: bool,
}

/// What a sign-in at a server would need, as `exai add` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignInPlan {
    /// The server does not ask for one.
    NotWanted,
    /// Somebody has signed in already.
    SignedIn,
    /// The server wants one, and nobody can sign in.
    Impossible {
        /// Why not, as a sentence.
        reason: String,
    },
    /// The server wants one.
    Wanted {
        /// The authorization server.
        issuer: String,
        /// Who exai would be there.
        client: PlannedClient,
        /// The address that a browser would come back to.
        redirect: String,
        /// What would be asked for; nothing leaves it to the authorization server.
        scopes: Vec<String>,
        /// Whether there are codes to type on another machine.
        gives_codes: bool,
    },
}

/// Who exai would be to an authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedClient {
    /// The client that the configuration names.
    Configured,
    /// What an earlier sign-in has registered.
    Known,
    /// A client that exai would register by itself.
    Registers,
    /// None: a person must register a client.
    ByHand,
    /// None: a person must register a client, or name the address of a client id document.
    ByHandOrDocument,
}
