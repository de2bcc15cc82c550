//! Who exai is to an authorization server.

use exai_config::Secret;
use hyper::StatusCode;
use oauth2::AuthType;
use oauth2::basic::BasicClient;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::clock::unix_time;
use crate::discovery::Discovered;
use crate::error::SignInError;
use crate::http::{AuthHttp, shown};
use crate::mcp_remote::KeptClient;
use crate::secret_text::expose_any;

/// The name that people see on the page where they sign in.
const CLIENT_NAME: &str = "exai";
const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";
const NONE: &str = "none";

/// The client id and what belongs to it, at one authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What the authorization server calls us, or the address of a document about us.
    pub client_id: String,
    /// What proves that it is us; none for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_any")]
    pub client_secret: Option<Secret>,
    /// How the secret is shown.
    pub(crate) shows_secret: ShowsSecret,
    /// Where it comes from.
    pub registered: Registered,
    /// The callback that it was registered with; another one needs another registration.
    pub(crate) redirect: String,
    /// The authorization server. Another one is told nothing of this.
    #[serde(default)]
    pub(crate) issuer: String,
    /// When the secret ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_expires_at: Option<u64>,
}

/// Where a client id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registered {
    /// A person has registered it and put it into the configuration.
    ByHand,
    /// It is the address of a document about us (client id metadata document).
    AsDocument,
    /// We have registered it (RFC 7591).
    Dynamically,
}

/// How a client secret is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShowsSecret {
    InHeader,
    InBody,
}

/// The answer to a registration (RFC 7591, section 3.2.1).
#[derive(Deserialize)]
struct Registration {
    client_id: String,
    client_secret: Option<Secret>,
    token_endpoint_auth_method: Option<String>,
    /// 0 for never, like everything that is no time.
    #[serde(default)]
    client_secret_expires_at: Value,
}

impl Identity {
    /// An identity that a person has configured.
    fn configured(client_id: &str, secret: Option<&Secret>, discovered: &Discovered, redirect: &Url) -> Self {
        let is_document = secret.is_none() && client_id.starts_with("https://");
        Identity {
            client_id: client_id.to_owned(),
            client_secret: secret.cloned(),
            shows_secret: discovered.shows_secret(),
            registered: if is_document { Registered::AsDocument } else { Registered::ByHand },
            redirect: redirect.to_string(),
            issuer: discovered.issuer.clone(),
            secret_expires_at: None,
        }
    }

    /// The identity of tokens that another program was given for a client of the configuration.
    pub(crate) fn kept(
        discovered: &Discovered,
        client_id: String,
        client_secret: Option<Secret>,
        redirect: String,
    ) -> Self {
        Identity {
            client_id,
            client_secret,
            shows_secret: discovered.shows_secret(),
            registered: Registered::ByHand,
            redirect,
            issuer: discovered.issuer.clone(),
            secret_expires_at: None,
        }
    }

    /// The identity that another program has registered. Its callback is not ours, so the next sign-in registers anew.
    pub(crate) fn registered_by_another(discovered: &Discovered, kept: KeptClient) -> Self {
        let shows_secret = match kept.token_endpoint_auth_method.as_deref() {
            Some(BASIC) => ShowsSecret::InHeader,
            Some(POST) => ShowsSecret::InBody,
            Some(_) | None => discovered.shows_secret(),
        };
        let secret_expires_at = kept.client_secret_expires_at.as_u64().filter(|end| *end > 0);
        let client_secret = kept.client_secret.clone().filter(|secret| !secret.expose().is_empty());
        let (client_id, redirect) = (kept.client_id.clone(), kept.redirect());
        Identity {
            shows_secret,
            registered: Registered::Dynamically,
            secret_expires_at,
            ..Identity::kept(discovered, client_id, client_secret, redirect)
        }
    }

    /// Whether it is a registration of ours that is good at this authorization server, with this callback.
    fn is_reusable(&self, discovered: &Discovered, redirect: &Url) -> bool {
        self.registered == Registered::Dynamically
            && self.issuer == discovered.issuer
            && self.redirect == redirect.as_str()
            && self.secret_expires_at.is_none_or(|end| end > unix_time())
    }

    /// Notes that the authorization server does not know this registration any more: the next sign-in registers anew.
    pub(crate) fn note_unknown(&mut self) {
        // No callback is this one.
        self.redirect.clear();
    }

    /// Whether this is a client of the configuration whose secret was another one than `secret`.
    pub(crate) fn has_other_secret(&self, client_id: &str, secret: Option<&Secret>) -> bool {
        self.registered == Registered::ByHand
            && self.client_id == client_id
            && self.client_secret.as_ref() != secret
    }

    /// A client of the library with this identity.
    pub(crate) fn client(&self) -> BasicClient {
        let client = BasicClient::new(oauth2::ClientId::new(self.client_id.clone())).set_auth_type(
            match self.shows_secret {
                ShowsSecret::InHeader => AuthType::BasicAuth,
                ShowsSecret::InBody => AuthType::RequestBody,
            },
        );
        match &self.client_secret {
            Some(secret) => client.set_client_secret(oauth2::ClientSecret::new(secret.expose().to_owned())),
            None => client,
        }
    }
}

impl Discovered {
    /// How a secret is shown that nothing else is said about: a server that says nothing takes the header (RFC 8414).
    fn shows_secret(&self) -> ShowsSecret {
        let takes = |method: &str| {
            self.token_auth_methods.as_ref().is_some_and(|all| all.iter().any(|one| one == method))
        };
        if takes(POST) && !takes(BASIC) { ShowsSecret::InBody } else { ShowsSecret::InHeader }
    }

    /// The method to register with: without a secret where that is taken, else in the body. The header is the last, since
    /// servers of the Python SDK miss the client id in the body with it, and others refuse one there.
    fn method_to_register(&self) -> &'static str {
        let Some(all) = &self.token_auth_methods else { return NONE };
        [NONE, POST, BASIC].into_iter().find(|method| all.iter().any(|one| one == method)).unwrap_or(NONE)
    }
}

/// Who we can be at an authorization server.
pub(crate) enum Choice<'a> {
    /// As configured.
    Configured(Identity),
    /// As an earlier sign-in has registered there.
    Known(&'a Identity),
    /// By a registration here.
    Registers(&'a Url),
    /// Only a person can register us.
    ByHand,
}

/// The first of these that is possible. What an earlier sign-in at another authorization server has registered is not used.
pub(crate) fn choose<'a>(
    discovered: &'a Discovered,
    configured: Option<(&str, Option<&Secret>)>,
    earlier: Option<&'a Identity>,
    redirect: &Url,
) -> Choice<'a> {
    if let Some((client_id, secret)) = configured {
        let identity = Identity::configured(client_id, secret, discovered, redirect);
        if identity.registered == Registered::ByHand || discovered.takes_client_documents {
            return Choice::Configured(identity);
        }
        tracing::debug!(
            issuer = discovered.issuer,
            "takes no documents about clients; a registration is tried"
        );
    }
    match (earlier.filter(|known| known.is_reusable(discovered, redirect)), &discovered.registration_endpoint)
    {
        (Some(known), _) => Choice::Known(known),
        (None, Some(endpoint)) => Choice::Registers(endpoint),
        (None, None) => Choice::ByHand,
    }
}

/// Finds out who we are at an authorization server: as configured, else as an earlier sign-in has registered there, else by
/// a registration with this callback.
///
/// # Errors
/// When nothing is configured and the server registers nobody.
pub async fn identify(
    http: &AuthHttp,
    discovered: &Discovered,
    configured: Option<(&str, Option<&Secret>)>,
    earlier: Option<&Identity>,
    redirect: &Url,
) -> Result<Identity, SignInError> {
    match choose(discovered, configured, earlier, redirect) {
        Choice::Configured(identity) => Ok(identity),
        Choice::Known(known) => Ok(known.clone()),
        Choice::Registers(endpoint) => register(http, discovered, endpoint, redirect).await,
        Choice::ByHand => Err(SignInError::NoRegistration {
            issuer: shown(&discovered.issuer),
            redirect: redirect.to_string(),
        }),
    }
}

async fn register(
    http: &AuthHttp,
    discovered: &Discovered,
    endpoint: &Url,
    redirect: &Url,
) -> Result<Identity, SignInError> {
    let mut grants = vec!["authorization_code", "refresh_token"];
    if discovered.device_authorization_endpoint.is_some() {
        grants.push("urn:ietf:params:oauth:grant-type:device_code");
    }
    let method = discovered.method_to_register();
    let request = json!({
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect.as_str()],
        "grant_types": grants,
        "response_types": ["code"],
        "application_type": "native",
        "token_endpoint_auth_method": method,
    });
    let answer = http.post(endpoint, &request).await?;
    let issuer = shown(&discovered.issuer);
    if !matches!(answer.status(), StatusCode::OK | StatusCode::CREATED) {
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let Some(code) = body["error"].as_str() else {
            return Err(SignInError::Broken {
                place: issuer,
                answer: format!("{} to a registration", answer.status()),
            });
        };
        return Err(SignInError::Refused {
            issuer,
            code: shown(code),
            text: body["error_description"].as_str().map(shown),
        });
    }
    let Ok(registration) = serde_json::from_slice::<Registration>(answer.body()) else {
        return Err(SignInError::Broken { place: issuer, answer: "no registration".to_owned() });
    };
    // A server that names no method has taken the one that was asked for.
    let shows_secret = match registration.token_endpoint_auth_method.as_deref().unwrap_or(method) {
        BASIC => ShowsSecret::InHeader,
        POST => ShowsSecret::InBody,
        _ => discovered.shows_secret(),
    };
    let is_public = registration.token_endpoint_auth_method.as_deref() == Some(NONE);
    Ok(Identity {
        client_id: registration.client_id,
        client_secret: registration.client_secret.filter(|secret| !is_public && !secret.expose().is_empty()),
        shows_secret,
        registered: Registered::Dynamically,
        redirect: redirect.to_string(),
        issuer: discovered.issuer.clone(),
        secret_expires_at: registration
            .client_secret_expires_at
            .as_u64()
            .filter(|end| *end > 0 && !is_public),
    })
}
