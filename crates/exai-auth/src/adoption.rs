//! Makes a record of what another program has kept of a sign-in.

use exai_config::Secret;

use crate::discovery::Discovered;
use crate::error::SignInError;
use crate::identity::Identity;
use crate::mcp_remote::{KeptClient, McpRemoteSignIn};
use crate::record::{Place, Record, Tokens};
use crate::scopes::Scopes;

impl McpRemoteSignIn {
    /// A record of it, at the authorization server that the server names now. `configured` is the client of the
    /// configuration, and `limit` are the only scopes that may ever be asked for.
    ///
    /// # Errors
    /// When it is of another client than the configured one, allows more than the limit, or cannot be sent.
    pub fn into_record(
        self,
        place: Place,
        discovered: &Discovered,
        configured: Option<(&str, Option<&Secret>)>,
        limit: Option<&Scopes>,
    ) -> Result<Record, SignInError> {
        let refuse = |text: &str| Err(SignInError::Untrustworthy(format!("what mcp-remote has kept {text}")));
        let is_bearer = self.tokens.token_type.eq_ignore_ascii_case("bearer");
        let tokens = [Some(&self.tokens.access_token), self.tokens.refresh_token.as_ref()];
        if !is_bearer || !tokens.into_iter().flatten().all(can_be_sent) {
            return refuse("holds a token that cannot be sent");
        }
        let said =
            self.tokens.scope.as_ref().or(self.client.as_ref().and_then(|client| client.scope.as_ref()));
        let scopes = said.map(|text| Scopes::read(text)).unwrap_or_default();
        if limit.is_some() && said.is_none() {
            return refuse("does not say what it allows, and its `sign_in` table has `scopes`");
        }
        if limit.is_some_and(|limit| !scopes.is_within(limit)) {
            return refuse(&format!(
                "allows `{scopes}`, which is more than the `scopes` of its `sign_in` table"
            ));
        }
        let expires_at = self.expires_at();
        let identity = match (configured, self.client) {
            (Some((client_id, _)), Some(kept)) if kept.client_id != client_id => {
                return refuse("was given to another client than the `client_id` of its `sign_in` table");
            }
            (Some((client_id, secret)), kept) => {
                let redirect = kept.map(KeptClient::redirect).unwrap_or_default();
                Identity::kept(discovered, client_id.to_owned(), secret.cloned(), redirect)
            }
            (None, Some(kept)) => Identity::registered_by_another(discovered, kept),
            (None, None) => {
                return refuse(
                    "does not say which client it was given to; set `client_id` in its `sign_in` table",
                );
            }
        };
        let tokens = Tokens {
            access_token: self.tokens.access_token,
            refresh_token: self.tokens.refresh_token,
            obtained_at: self.obtained_at,
            expires_at,
            scopes: scopes.clone(),
        };
        Ok(Record::new(place, discovered, identity, scopes, tokens))
    }
}

/// Whether a token is one of RFC 6750 and of RFC 6749 (appendix A), and not longer than any header may be.
fn can_be_sent(token: &Secret) -> bool {
    let text = token.expose();
    !text.is_empty() && text.len() <= MAX_TOKEN_BYTES && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

/// The longest token.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
