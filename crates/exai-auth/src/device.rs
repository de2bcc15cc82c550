//! A sign-in that a person finishes on another machine, with a code to type.

use std::time::{Duration, Instant};

use oauth2::basic::BasicTokenResponse;
use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse, TokenUrl};
use tokio::time::timeout;
use url::Url;

use crate::discovery::Discovered;
use crate::error::SignInError;
use crate::http::{AuthHttp, Exchange, shown};
use crate::identity::Identity;
use crate::record::{Place, Record};
use crate::scopes::Scopes;
use crate::tokens::{read_error, read_tokens};

/// The shortest pause between two questions, whatever the authorization server says.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// How long the last question may take.
const LAST_QUESTION: Duration = Duration::from_secs(30);
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
    /// Not the text of the details, which may hold what moves a cursor.
    page: Url,
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
        let page = http.check(details.verification_uri(), "the page for the code")?;
        Ok(PendingDevice { place, discovered, identity, scopes, details, page })
    }

    /// The address of the page.
    pub fn page(&self) -> &str {
        self.page.as_str()
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
        let end = Instant::now() + self.lasts();
        // The pause is the server's word, and the library would sleep beyond the end.
        let sleep = |pause: Duration| {
            let left = end.saturating_duration_since(Instant::now());
            tokio::time::sleep(pause.min(left + MIN_PAUSE).max(MIN_PAUSE))
        };
        let exchange = Exchange(http);
        let asking = request.request_async(&exchange, sleep, Some(self.lasts()));
        let Ok(answer) = timeout(self.lasts() + LAST_QUESTION, asking).await else {
            return Err(SignInError::Refused {
                issuer: shown(issuer),
                code: "expired_token".to_owned(),
                text: None,
            });
        };
        let answer: BasicTokenResponse = answer.map_err(|error| read_error(error, issuer))?;
        let tokens = read_tokens(&answer, &self.scopes, None, issuer)?;
        Ok(Record::new(self.place, &self.discovered, self.identity, self.scopes, tokens))
    }
}
