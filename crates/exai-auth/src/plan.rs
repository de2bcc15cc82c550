//! What a sign-in would need, before anybody signs in. Nothing is registered, and nothing is kept.

use exai_config::Secret;
use exai_net::read_headers;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use url::Url;

use crate::challenge::Challenge;
use crate::discovery::Discovered;
use crate::error::SignInError;
use crate::http::AuthHttp;
use crate::identity::{Choice, Identity, choose};
use crate::scopes::Scopes;

/// A message that begins no session: a server that wants a sign-in refuses it, and any other one says what it likes.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// What a sign-in would need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The authorization server, exactly as it calls itself.
    pub issuer: String,
    /// Who exai would be there.
    pub identity: PlannedIdentity,
    /// The scopes that would be asked for.
    pub scopes: Scopes,
    /// Whether it gives codes that are typed on another machine (RFC 8628).
    pub gives_codes: bool,
}

/// Who exai would be to an authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedIdentity {
    /// The client that the configuration names, or its document.
    Configured,
    /// What an earlier sign-in has registered.
    Known,
    /// A client that exai would register by itself.
    Registers,
    /// None: a person must register a client.
    ByHand {
        /// Whether the address of a document about a client does, too.
        takes_documents: bool,
    },
}

impl Plan {
    /// What follows from the metadata, as in [`crate::identify`].
    pub fn new(
        discovered: &Discovered,
        configured: Option<(&str, Option<&Secret>)>,
        earlier: Option<&Identity>,
        scopes: Scopes,
        redirect: &Url,
    ) -> Self {
        let identity = match choose(discovered, configured, earlier, redirect) {
            Choice::Configured(_) => PlannedIdentity::Configured,
            Choice::Known(_) => PlannedIdentity::Known,
            Choice::Registers(_) => PlannedIdentity::Registers,
            Choice::ByHand => PlannedIdentity::ByHand { takes_documents: discovered.takes_client_documents },
        };
        let gives_codes = discovered.device_authorization_endpoint.is_some();
        Plan { issuer: discovered.issuer.clone(), identity, scopes, gives_codes }
    }
}

/// Asks a server whether it wants a sign-in; `None` when it does not refuse for want of one (401). The question has no effect
/// on a server that answers it. `headers` are those of the configuration.
///
/// # Errors
/// When the server cannot be asked.
pub async fn probe(
    http: &AuthHttp,
    server: &Url,
    headers: &[(String, Secret)],
) -> Result<Option<Challenge>, SignInError> {
    http.check_server(server)?;
    let headers = headers.iter().map(|(name, value)| (&**name, value.expose()));
    let headers = read_headers(headers).map_err(|name| cannot_be_sent(&format!("its header `{name}`")))?;
    for (method, body) in [(Method::POST, PING), (Method::GET, "")] {
        let mut request = Request::new(body.as_bytes().to_vec());
        *request.uri_mut() = server.as_str().parse().map_err(|_| cannot_be_sent("its `url`"))?;
        *request.method_mut() = method;
        *request.headers_mut() = headers.clone();
        let both = HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(ACCEPT, both);
        if !body.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let (status, headers) = http.send_for_head(request).await?;
        match status {
            StatusCode::UNAUTHORIZED => return Ok(Some(Challenge::read(&headers))),
            status if status.is_success() => return Ok(None),
            // The older transport is asked by GET.
            _ => {}
        }
    }
    Ok(None)
}

fn cannot_be_sent(what: &str) -> SignInError {
    SignInError::Untrustworthy(format!("{what} cannot be sent"))
}
