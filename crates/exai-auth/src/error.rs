//! Why a sign-in does not succeed.

use std::io;

use exai_net::TlsUnavailable;

/// Why a sign-in, or a renewal of one, does not succeed. Each is a sentence that reads after "the sign-in at NAME failed: ".
/// None holds a token, a code or a secret.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// An address cannot be asked. Another try may succeed.
    #[error("{place} cannot be reached: {why}")]
    Unreachable {
        /// The host.
        place: String,
        /// Why not.
        why: String,
    },
    /// A server answered with an error of its own, or took too long. Another try may succeed.
    #[error("{place} answered {answer}")]
    Broken {
        /// The host.
        place: String,
        /// The status, or what was wrong.
        answer: String,
    },
    /// What a server says of itself is wrong, or must not be followed.
    #[error("{0}")]
    Untrustworthy(String),
    /// Nothing tells where to sign in.
    #[error("{0} says nothing about where to sign in")]
    NoMetadata(String),
    /// The authorization server has no way for us to register.
    #[error(
        "{issuer} registers no clients by itself; register one there with the redirect address {redirect} and set its \
         `client_id` in the server's `sign_in` table"
    )]
    NoRegistration {
        /// The authorization server.
        issuer: String,
        /// The callback.
        redirect: String,
    },
    /// The authorization server refuses. The code is one of RFC 6749 and its relatives.
    #[error("{issuer} answered `{code}`{}", .text.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// The authorization server.
        issuer: String,
        /// The code of the error.
        code: String,
        /// What it says about it.
        text: Option<String>,
    },
    /// A step-up asks for more than the configuration allows.
    #[error("the server asks for the scopes `{0}`, which the `scopes` of its `sign_in` table do not allow")]
    ScopesNotAllowed(String),
    /// A step-up would ask for nothing new: another sign-in would have the same outcome.
    #[error("the last sign-in has asked for `{0}` already, which is all that may be asked for")]
    NothingMoreToAskFor(String),
    /// What came back from the browser belongs to no sign-in.
    #[error("this sign-in is unknown or over; begin another one")]
    UnknownState,
    /// TLS cannot be used here.
    #[error("{0}")]
    Tls(#[from] TlsUnavailable),
    /// A record cannot be read or written.
    #[error("the sign-in cannot be kept: {0}")]
    Store(#[from] io::Error),
    /// Another process renews the same sign-in for too long.
    #[error("another process has been renewing this sign-in for too long")]
    Locked,
}

impl SignInError {
    /// Whether the authorization server has said that what we hold is worth nothing any more. Time-outs, errors of servers
    /// and of the network never mean that.
    pub fn means_signed_out(&self) -> bool {
        // The second is what GitHub says of a refresh token.
        matches!(self, SignInError::Refused { code, .. } if code == "invalid_grant" || code == "bad_refresh_token")
    }

    /// Whether the authorization server does not know us any more: the next sign-in registers anew.
    pub fn means_unregistered(&self) -> bool {
        matches!(self, SignInError::Refused { code, .. } if code == "invalid_client" || code == "unauthorized_client")
    }
}
