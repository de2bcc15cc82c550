//! The renewal of an access token, in a process of its own.
//!
//! Many authorization servers give a new refresh token with each renewal and take the old one never again, some of them even
//! as a sign of theft that ends the whole sign-in. Between the answer and the disk there is a moment in which the only good
//! token is in memory. So the exchange is not made by the daemon, which may be killed, but by a process that does nothing
//! else. A lock makes the renewals of one record come one after the other, also of two processes.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use exai_config::Secret;
use oauth2::basic::BasicTokenResponse;
use oauth2::{RefreshToken, TokenResponse as _, TokenUrl};
use serde::{Deserialize, Serialize};

use crate::error::SignInError;
use crate::http::{AuthHttp, Exchange};
use crate::identity::Registered;
use crate::record::{Record, Tokens, fingerprint};
use crate::records::Records;
use crate::tokens::{read_error, read_tokens};

/// How long a renewal may take, with the wait for another one.
pub const RENEWAL_TIMEOUT: Duration = Duration::from_mins(1);
/// The parts of it: the wait for another renewal, and for a disk. Finding the server and the exchange have their own bounds
/// (10 s and 20 s), and no part may be cut short by the end of the whole.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a new token is tried to be written to a disk that does not take it.
const WRITE_RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// What became of a renewal. The record holds the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renewal {
    /// The record has another access token than the one that was to be replaced.
    Renewed,
    /// The record has no tokens any more: the authorization server does not take what it had.
    SignedOut(String),
    /// The record has no refresh token, so only a person can sign in again.
    NotRenewable,
    /// Nothing has changed. Another try may succeed.
    Failed(String),
}

/// Replaces the access token of the record `id`, if it is the one with the fingerprint `old`. Blocks only for files.
pub async fn renew(http: &AuthHttp, records: &Records, id: &str, old: &str) -> Renewal {
    match try_to_renew(http, records, id, old).await {
        Ok(renewal) => renewal,
        Err(error) => Renewal::Failed(error.to_string()),
    }
}

/// The same on a runtime of its own, with connections as this environment says: what the process that renews does.
pub fn renew_alone(vars: &[(OsString, OsString)], records: &Records, id: &str, old: &str) -> Renewal {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match (runtime, AuthHttp::of(vars)) {
        (Ok(runtime), Ok(http)) => {
            let renewal = runtime.block_on(renew(&http, records, id, old));
            // A lookup of a name that hangs is not waited for.
            runtime.shutdown_background();
            renewal
        }
        (Err(error), _) => Renewal::Failed(format!("no runtime: {error}")),
        (_, Err(error)) => Renewal::Failed(error.to_string()),
    }
}

async fn try_to_renew(
    http: &AuthHttp,
    records: &Records,
    id: &str,
    old: &str,
) -> Result<Renewal, SignInError> {
    let Some(_lock) = records.lock(id, Instant::now() + LOCK_TIMEOUT)? else {
        return Err(SignInError::Locked);
    };
    let Some(mut record) = records.read(id)? else { return Ok(Renewal::NotRenewable) };
    let Some(tokens) = &record.tokens else { return Ok(Renewal::NotRenewable) };
    if fingerprint(&tokens.access_token) != old {
        return Ok(Renewal::Renewed);
    }
    let Some(refresh_token) = tokens.refresh_token.clone() else { return Ok(Renewal::NotRenewable) };
    let http = http.for_server(&record.place.server).await;
    http.check(record.token_endpoint.as_str(), "the token endpoint of the record")?;
    // A disk that takes nothing is to be found before the old token is spent.
    records.write(&record)?;
    match exchange(&http, &record, &refresh_token).await {
        Ok(answer) => {
            let read = read_tokens(&answer, &tokens.scopes, Some(&refresh_token), &record.issuer);
            let outcome = match read {
                Ok(renewed) => {
                    record.tokens = Some(renewed);
                    Ok(Renewal::Renewed)
                }
                // The old refresh token may be spent, whatever is wrong with the rest.
                Err(error) => {
                    let newer = answer.refresh_token().map(|token| Secret::new(token.secret().clone()));
                    let refresh_token = newer.or(Some(refresh_token));
                    record.tokens = record.tokens.map(|tokens| Tokens { refresh_token, ..tokens });
                    Err(error)
                }
            };
            write_at_any_price(records, &record).await?;
            outcome
        }
        Err(error) if error.means_signed_out() || has_lost_registration(&record, &error) => {
            record.tokens = None;
            if error.means_unregistered() {
                record.identity.note_unknown();
            }
            records.write(&record)?;
            Ok(Renewal::SignedOut(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Whether the authorization server has forgotten what we have registered, and so whom it gave the tokens to. What a person
/// has registered is another matter: a wrong secret in the configuration is put right there, and the tokens stay good.
fn has_lost_registration(record: &Record, error: &SignInError) -> bool {
    error.means_unregistered() && record.identity.registered == Registered::Dynamically
}

async fn exchange(
    http: &AuthHttp,
    record: &Record,
    token: &Secret,
) -> Result<BasicTokenResponse, SignInError> {
    let client = record.identity.client().set_token_uri(TokenUrl::from_url(record.token_endpoint.clone()));
    let token = RefreshToken::new(token.expose().to_owned());
    let request = client.exchange_refresh_token(&token).add_extra_param("resource", record.resource.clone());
    request.request_async(&Exchange(http)).await.map_err(|error| read_error(error, &record.issuer))
}

/// Writes a record whose loss would sign somebody out: tries again while there is time.
async fn write_at_any_price(records: &Records, record: &Record) -> Result<(), SignInError> {
    let end = Instant::now() + WRITE_TIMEOUT;
    loop {
        match records.write(record) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(error.into()),
            Err(_) => tokio::time::sleep(WRITE_RETRY_INTERVAL).await,
        }
    }
}
