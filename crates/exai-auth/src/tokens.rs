//! What the library makes of the answers of a token endpoint.

use std::fmt::Display;
use std::time::Duration;

use exai_config::Secret;
use oauth2::basic::{BasicTokenResponse, BasicTokenType};
use oauth2::{ErrorResponseType, RequestTokenError, StandardErrorResponse, TokenResponse as _};

use crate::clock::unix_time;
use crate::error::SignInError;
use crate::http::{HttpFailure, shown};
use crate::record::Tokens;
use crate::scopes::Scopes;

/// The longest lifetime that is believed.
const MAX_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// Reads the tokens of an answer. `asked` are the scopes that they have where the answer does not say; `before` is the
/// refresh token that stays good where the answer has none.
pub(crate) fn read_tokens(
    answer: &BasicTokenResponse,
    asked: &Scopes,
    before: Option<&Secret>,
    issuer: &str,
) -> Result<Tokens, SignInError> {
    if !matches!(answer.token_type(), BasicTokenType::Bearer) {
        let text = format!("{} gives tokens that are no bearer tokens", shown(issuer));
        return Err(SignInError::Untrustworthy(text));
    }
    let access_token = answer.access_token().secret();
    let fits = |byte: u8| (0x21..0x7f).contains(&byte);
    if access_token.is_empty() || !access_token.bytes().all(fits) {
        return Err(SignInError::Broken {
            place: shown(issuer),
            answer: "a token that cannot be sent".to_owned(),
        });
    }
    let now = unix_time();
    let granted = answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect());
    Ok(Tokens {
        access_token: Secret::new(access_token.clone()),
        refresh_token: answer
            .refresh_token()
            .map(|token| Secret::new(token.secret().clone()))
            .or_else(|| before.cloned()),
        obtained_at: now,
        // Servers say 0 of tokens that do not end.
        expires_at: answer
            .expires_in()
            .filter(|time| !time.is_zero())
            .map(|time| now.saturating_add(time.min(MAX_LIFETIME).as_secs())),
        scopes: granted.unwrap_or_else(|| asked.clone()),
    })
}

/// What an error of the library means.
pub(crate) fn read_error<T>(
    error: RequestTokenError<HttpFailure, StandardErrorResponse<T>>,
    issuer: &str,
) -> SignInError
where
    T: ErrorResponseType + Display + AsRef<str>,
{
    match error {
        RequestTokenError::Request(HttpFailure(error)) => error,
        RequestTokenError::ServerResponse(answer) => SignInError::Refused {
            issuer: shown(issuer),
            code: shown(answer.error().as_ref()),
            text: answer.error_description().map(|text| shown(text)),
        },
        // Its text may quote the answer, which may hold a token.
        RequestTokenError::Parse(..) => {
            SignInError::Broken { place: shown(issuer), answer: "what is no answer about tokens".to_owned() }
        }
        RequestTokenError::Other(text) => SignInError::Broken { place: shown(issuer), answer: shown(&text) },
    }
}
