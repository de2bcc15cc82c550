//! A sign-in that a person finishes in a browser.

use std::fmt;

use oauth2::basic::BasicTokenResponse;
use oauth2::{
    AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenUrl,
};
use url::Url;

use crate::discovery::{Discovered, OFFLINE_ACCESS};
use crate::error::SignInError;
use crate::http::{AuthHttp, Exchange, shown};
use crate::identity::Identity;
use crate::record::{Place, Record};
use crate::scopes::Scopes;
use crate::tokens::{read_error, read_tokens};

/// A sign-in that has begun: somebody is to open [`PendingSignIn::address`] in a browser, and the browser comes back.
pub struct PendingSignIn {
    /// What to open. Whoever has it can finish the sign-in in this person's place, or keep it from being finished: it is for the clients of the person alone.
    pub address: Url,
    /// What the browser brings back, which tells this sign-in from others. One use.
    pub state: String,
    pub(crate) place: Place,
    pub(crate) discovered: Discovered,
    pub(crate) identity: Identity,
    pub(crate) scopes: Scopes,
    verifier: PkceCodeVerifier,
}

/// What a browser has brought back (RFC 6749, section 4.1.2).
#[derive(Default)]
pub struct Returned {
    /// Which sign-in it belongs to.
    pub state: String,
    code: Option<String>,
    error: Option<(String, Option<String>)>,
    issuer: Option<String>,
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn").field("issuer", &self.discovered.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned").field("error", &self.error).finish_non_exhaustive()
    }
}

impl Returned {
    /// Reads the query of a request for the callback. `None` when a parameter is there twice, or there is no state.
    pub fn read(query: &str) -> Option<Self> {
        let mut returned = Returned::default();
        let (mut state, mut description) = (None, None);
        let mut error = None;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut state,
                "code" => &mut returned.code,
                "error" => &mut error,
                "error_description" => &mut description,
                "iss" => &mut returned.issuer,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        returned.state = state?;
        returned.error = error.map(|code| (shown(&code), description.map(|text| shown(&text))));
        Some(returned)
    }

    /// Reads what a person has copied from the address bar: the whole address, or what stands behind its `?`.
    pub fn read_pasted(text: &str) -> Option<Self> {
        let text = text.trim();
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        Self::read(query.split_once('#').map_or(query, |(query, _)| query))
    }
}

impl PendingSignIn {
    /// Begins a sign-in.
    pub fn begin(
        place: Place,
        discovered: Discovered,
        identity: Identity,
        scopes: Scopes,
        redirect: &Url,
    ) -> Self {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = identity
            .client()
            .set_auth_uri(AuthUrl::from_url(discovered.authorization_endpoint.clone()))
            .set_redirect_uri(RedirectUrl::from_url(redirect.clone()));
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .add_scopes(scopes.iter().map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("resource", discovered.resource.clone());
        if scopes.contains(OFFLINE_ACCESS) {
            // Who does not ask that a person is asked gets no refresh token (OpenID Connect Core, section 11).
            request = request.add_extra_param("prompt", "consent");
        }
        let (address, state) = request.url();
        PendingSignIn {
            address,
            state: state.secret().clone(),
            place,
            discovered,
            identity,
            scopes,
            verifier,
        }
    }

    /// Who we are to the authorization server.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Finishes the sign-in with what the browser has brought back.
    ///
    /// # Errors
    /// When a person or the authorization server has refused, or somebody else has answered in its place.
    pub async fn finish(self, http: &AuthHttp, returned: Returned) -> Result<Record, SignInError> {
        let issuer = &self.discovered.issuer;
        if returned.state != self.state {
            return Err(SignInError::UnknownState);
        }
        self.check_issuer(returned.issuer.as_deref())?;
        if let Some((code, text)) = returned.error {
            return Err(SignInError::Refused { issuer: shown(issuer), code, text });
        }
        let Some(code) = returned.code else {
            let text = format!("{} sent the browser back without a code", shown(issuer));
            return Err(SignInError::Untrustworthy(text));
        };
        let redirect = RedirectUrl::new(self.identity.redirect.clone());
        let redirect = redirect.map_err(|_| SignInError::UnknownState)?;
        let client = self.identity.client().set_redirect_uri(redirect);
        let client = client.set_token_uri(TokenUrl::from_url(self.discovered.token_endpoint.clone()));
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(self.verifier)
            .add_extra_param("resource", self.discovered.resource.clone());
        let answer: BasicTokenResponse =
            request.request_async(&Exchange(http)).await.map_err(|error| read_error(error, issuer))?;
        let tokens = read_tokens(&answer, &self.scopes, None, issuer)?;
        Ok(Record::new(self.place, &self.discovered, self.identity, self.scopes, tokens))
    }

    /// Checks that the answer comes from the authorization server that was asked (RFC 9207, section 2.4). The texts are
    /// compared as they are.
    fn check_issuer(&self, says: Option<&str>) -> Result<(), SignInError> {
        let asked = &self.discovered.issuer;
        match says {
            Some(says) if says == asked => Ok(()),
            None if !self.discovered.gives_issuer => Ok(()),
            Some(says) => Err(SignInError::Untrustworthy(format!(
                "{} was asked, and `{}` has answered: nothing was sent there",
                shown(asked),
                shown(says)
            ))),
            None => Err(SignInError::Untrustworthy(format!(
                "the answer does not say that it comes from {}: nothing was sent",
                shown(asked)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_read() {
        let returned = Returned::read("code=a%20b&state=s&iss=https%3A%2F%2Fx&other=1&other=2").unwrap();
        assert_eq!(
            (returned.state.as_str(), returned.code.as_deref(), returned.issuer.as_deref()),
            ("s", Some("a b"), Some("https://x"))
        );
        let denied = Returned::read("error=access_denied&error_description=No%0Aone&state=s").unwrap();
        assert_eq!(denied.error, Some(("access_denied".to_owned(), Some("Noone".to_owned()))));
        for bad in ["", "code=a", "state=a&state=b&code=c", "state=a&code=b&code=c", "state=a&iss=b&iss=c"] {
            assert!(Returned::read(bad).is_none(), "{bad}");
        }
        for pasted in
            ["http://127.0.0.1:1/oauth/callback?state=s&code=c#x\n", "state=s&code=c", " ?state=s&code=c "]
        {
            let returned = Returned::read_pasted(pasted).unwrap();
            assert_eq!((returned.state.as_str(), returned.code.as_deref()), ("s", Some("c")), "{pasted}");
        }
        assert!(
            !format!("{:?}", Returned::read("state=topsecret&code=topsecret").unwrap()).contains("topsecret")
        );
    }
}
