//! `[servers.NAME.sign_in]`: how exai signs in at a server that runs elsewhere. Without the table exai registers itself.

use serde::Deserialize;

use crate::Secret;

/// How exai signs in at a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInConfig {
    /// The client id that a person has registered at the authorization server, or the `https` address of a document about
    /// the client.
    pub client_id: Option<String>,
    /// The secret that belongs to it.
    pub client_secret: Option<Secret>,
    /// The only scopes that are ever asked for; `None` leaves them to the server.
    pub scopes: Option<Vec<String>>,
}

impl SignInConfig {
    /// What is wrong, as a sentence.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let is_word = |text: &String| !text.is_empty() && !text.contains(char::is_whitespace);
        if self.client_secret.is_some() && self.client_id.is_none() {
            return Err("a `client_secret` needs its `client_id`");
        }
        if self.client_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            return Err("`client_id` is empty");
        }
        if self.scopes.as_ref().is_some_and(|scopes| scopes.is_empty() || !scopes.iter().all(is_word)) {
            return Err("`scopes` must be a list of words");
        }
        Ok(())
    }
}
