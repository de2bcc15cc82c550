//! What shows a server who asks.

use exai_auth::{Challenge, NoKey, Refusal};
use exai_config::Secret;
use exai_mux::account;
use exai_net::read_headers;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::watch;

use super::connect::Failed;
use super::server_url::ServerUrl;
use crate::upstream::conversation_event::SignInWanted;
use crate::upstream::sign_ins::{Cause, ServerSignIn};

/// What shows a server who asks: the headers of every request besides those of the protocol.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    /// Those of the configuration, and `Host`.
    configured: HeaderMap,
    /// The sign-in, where the configuration shows nothing itself.
    sign_in: Option<ServerSignIn>,
}

/// What the server makes of what was shown.
pub(super) enum Verdict {
    /// It has answered.
    Answered,
    /// It refuses, and there is something else to show now.
    Again,
}

impl Credentials {
    /// Checks the headers of the configuration. The error reads after "the server" and shows no value.
    pub(super) fn new(configured: &[(String, Secret)], place: &ServerUrl) -> Result<Self, String> {
        let wrong = |name: &str| format!("could not be started: the header `{name}` cannot be sent");
        let configured = configured.iter().map(|(name, value)| (&**name, value.expose()));
        let mut headers = read_headers(configured).map_err(wrong)?;
        headers.insert(header::HOST, HeaderValue::from_str(&place.authority).map_err(|_| wrong("host"))?);
        let agent = HeaderValue::from_static(concat!("exai/", env!("CARGO_PKG_VERSION")));
        headers.entry(header::USER_AGENT).or_insert(agent);
        Ok(Credentials { configured: headers, sign_in: None })
    }

    /// Shows the token of a sign-in too.
    pub(super) fn with_sign_in(mut self, sign_in: ServerSignIn) -> Self {
        self.sign_in = Some(sign_in);
        self
    }

    /// The headers of the configuration.
    pub(super) fn configured(&self) -> HeaderMap {
        self.configured.clone()
    }

    /// The headers of the next request, and the token among them.
    pub(super) async fn headers(&self) -> Result<(HeaderMap, Option<Secret>), Failed> {
        let mut headers = self.configured.clone();
        let Some(server) = &self.sign_in else { return Ok((headers, None)) };
        let token = server.sign_in.token(|renewal| server.spawn(renewal)).await;
        let token = token.map_err(|error| {
            Failed::Unsent(format!(
                "cannot be used, since its sign-in cannot be read: {error}; {}`{}` signs in anew",
                if matches!(NoKey::of(&error), Some(NoKey::Unavailable(_))) {
                    "unlock the keyring, or "
                } else {
                    ""
                },
                account::login_command(&server.server)
            ))
        })?;
        let bearer = token
            .as_ref()
            .and_then(|token| HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok());
        if let Some(mut bearer) = bearer {
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        Ok((headers, token))
    }

    /// Notes that the server refuses requests until somebody signs in. Returns whether that is news.
    pub(super) fn note_ended(&self) -> bool {
        self.sign_in.as_ref().is_some_and(ServerSignIn::note_ended)
    }

    /// Notes that the server has taken a request. Returns whether that is news.
    pub(super) fn note_taken(&self) -> bool {
        self.sign_in.as_ref().is_some_and(ServerSignIn::note_taken)
    }

    /// Notices the next sign-in at the server. `None` where nobody signs in.
    pub(super) fn watch_sign_ins(&self) -> Option<watch::Receiver<()>> {
        Some(self.sign_in.as_ref()?.sign_in.watch())
    }

    /// What to do after this answer to a request that was sent with `token`. An error means that the request was refused
    /// before it was read.
    pub(super) async fn judge<T>(
        &self,
        answer: &Response<T>,
        token: Option<&Secret>,
    ) -> Result<Verdict, Failed> {
        let Some(server) = &self.sign_in else { return Ok(Verdict::Answered) };
        let challenge = match answer.status() {
            StatusCode::UNAUTHORIZED => Challenge::read(answer.headers()),
            StatusCode::FORBIDDEN => {
                let challenge = Challenge::read(answer.headers());
                if !challenge.lacks_scope() {
                    return Ok(Verdict::Answered);
                }
                challenge
            }
            status => {
                if let Some(token) = token.filter(|_| status.is_success()) {
                    server.sign_in.note_accepted(token);
                }
                return Ok(Verdict::Answered);
            }
        };
        let (why, cause) = match server.sign_in.refused(token, challenge).await {
            Refusal::Again => return Ok(Verdict::Again),
            Refusal::Unavailable(why) => {
                return Err(Failed::Unsent(format!(
                    "cannot be used, since its sign-in could not be renewed: {why}; `{}` signs in anew",
                    account::login_command(&server.server)
                )));
            }
            Refusal::NewTokenRefused => {
                return Err(Failed::Unsent(format!(
                    "refuses the sign-in that was just made there: perhaps that account may not use it; `{}` signs in as \
                     another one",
                    account::login_command(&server.server)
                )));
            }
            Refusal::SignInNeeded => ("wants somebody to sign in".to_owned(), Cause::Wanted),
            Refusal::ScopesNeeded(scopes) => {
                let why = format!("wants somebody to sign in again, for the scopes `{scopes}`");
                (why, Cause::ScopesMissing)
            }
        };
        // Rare, and large.
        let begun = Box::pin(server.begin(cause)).await;
        let command = account::login_command(&server.server);
        Err(Failed::SignedOut(match begun {
            Ok(begun) => {
                SignInWanted { reason: format!("{why}: run `{command}`"), page: Some(begun.page), cause }
            }
            Err(error) => SignInWanted {
                reason: format!("{why} (`{command}`), and {error}; or set `Authorization` in its `headers`"),
                page: None,
                cause,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_header_is_named_and_the_host_is_ours() {
        let place = ServerUrl::parse_remote("http://127.0.0.1:9001/mcp").unwrap();
        let one = |name: &str, value: &str| {
            let configured = [(name.to_owned(), Secret::new(value.to_owned()))];
            Credentials::new(&configured, &place).map(|credentials| credentials.configured())
        };
        let bad = one("X-Key", "secret\r\nHost: evil").unwrap_err();
        assert!(bad.contains("X-Key") && !bad.contains("secret"), "{bad}");
        assert_eq!(one("Host", "evil").unwrap()["host"], "127.0.0.1:9001");
    }
}
