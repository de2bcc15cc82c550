//! A sign-in that a person finishes on another machine, with a code to type.

use std::time::Duration;

use oauth2::basic::BasicTokenResponse;
use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse, TokenUrl};

use crate::discovery::Discovered;
use crate::error::SignInError;
use crate::http::{AuthHttp, Exchange, shown};
use crate::identity::Identity;
use crate::record::{Place, Record};
use crate::scopes::Scopes;
use crate::tokens::{read_error, read_tokens};

/// The longest time that a person has.
const MAX_WAIT: Duration = Duration::from_mins(15);

/// A sign-in with a code to type (RFC 8628).
#[derive(Debug)]
pub struct PendingDevice {
    place: Place,
    discovered: Discovered,
    identity: Identity,
    scopes: Scopes,
    details: StandardDeviceAuthorizationResponse,
}

impl PendingDevice {
    /// Asks for a code.
    ///
    /// # Errors
    /// When the authorization server has no such way, or refuses.
    pub async fn begin(
        http: &AuthHttp,
        place: Place,
        discovered: Discovered,
        identity: Identity,
        scopes: Scopes,
    ) -> Result<Self, SignInError> {
        let issuer = &discovered.issuer;
        let Some(endpoint) = discovered.device_authorization_endpoint.clone() else {
            let text = format!("{} has no way to sign in with a code; leave out --device", shown(issuer));
            return Err(SignInError::Untrustworthy(text));
        };
        let client =
            identity.client().set_device_authorization_url(DeviceAuthorizationUrl::from_url(endpoint));
        let request = client
            .exchange_device_code()
            .add_scopes(scopes.iter().map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("resource", discovered.resource.clone());
        let details: StandardDeviceAuthorizationResponse =
            request.request_async(&Exchange(http)).await.map_err(|error| read_error(error, issuer))?;
        http.check(details.verification_uri(), "the page for the code")?;
        Ok(PendingDevice { place, discovered, identity, scopes, details })
    }

    /// The address of the page.
    pub fn page(&self) -> &str {
        self.details.verification_uri()
    }

    /// What a person types there.
    pub fn code(&self) -> String {
        shown(self.details.user_code().secret())
    }

    /// How long the person has.
    pub fn lasts(&self) -> Duration {
        self.details.expires_in().min(MAX_WAIT)
    }

    /// Asks until the person has typed the code.
    ///
    /// # Errors
    /// When the person has refused, or the time is over.
    pub async fn finish(self, http: &AuthHttp) -> Result<Record, SignInError> {
        let issuer = &self.discovered.issuer;
        let client =
            self.identity.client().set_token_uri(TokenUrl::from_url(self.discovered.token_endpoint.clone()));
        let request = client
            .exchange_device_access_token(&self.details)
            .add_extra_param("resource", self.discovered.resource.clone());
        let answer = request.request_async(&Exchange(http), tokio::time::sleep, Some(self.lasts())).await;
        let answer: BasicTokenResponse = answer.map_err(|error| read_error(error, issuer))?;
        let tokens = read_tokens(&answer, &self.scopes, None, issuer)?;
        Ok(Record::new(self.place, &self.discovered, self.identity, self.scopes, tokens))
    }
}
