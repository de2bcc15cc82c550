//! Who signs people in for a server, as the server and that authorization server say.

use serde::de::DeserializeOwned;
use url::Url;

use crate::challenge::Challenge;
use crate::error::SignInError;
use crate::http::{AuthHttp, place, shown};
use crate::metadata::{ResourceMetadata, ServerMetadata};
use crate::scopes::Scopes;

/// The scope without which some servers give no refresh token.
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// Who signs people in for a server, and how.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The authorization server, exactly as it calls itself.
    pub issuer: String,
    /// What tokens are asked for (RFC 8707).
    pub resource: String,
    /// What the server says is needed; `None` when nothing says so.
    pub scopes: Option<Scopes>,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) registration_endpoint: Option<Url>,
    pub(crate) device_authorization_endpoint: Option<Url>,
    pub(crate) token_auth_methods: Option<Vec<String>>,
    pub(crate) takes_client_documents: bool,
    pub(crate) gives_issuer: bool,
    pub(crate) offers_offline_access: bool,
    /// What a request lacked that was refused for that.
    pub(crate) lacking: Scopes,
}

impl Discovered {
    /// The scopes to ask for: those that the server needs, those that were asked for before, and the one for a refresh
    /// token. A limit of the configuration is kept.
    ///
    /// # Errors
    /// When the limit leaves nothing of what the server needs, or not all that a refused request lacked.
    pub fn scopes_to_ask_for(&self, before: &Scopes, limit: Option<&Scopes>) -> Result<Scopes, SignInError> {
        let mut scopes = self.scopes.clone().unwrap_or_default();
        scopes.extend(before);
        if let Some(limit) = limit {
            if !self.lacking.is_within(limit) {
                let missing = self.lacking.iter().filter(|scope| !limit.contains(scope));
                return Err(SignInError::ScopesNotAllowed(missing.collect::<Scopes>().to_string()));
            }
            let asked = scopes.to_string();
            scopes.limit(limit);
            if scopes.is_empty() && !asked.is_empty() {
                return Err(SignInError::ScopesNotAllowed(asked));
            }
            if asked.is_empty() {
                scopes.extend(limit);
            }
        }
        let may_be_offline = limit.is_none_or(|limit| limit.contains(OFFLINE_ACCESS));
        if self.offers_offline_access && may_be_offline && !scopes.is_empty() {
            scopes.extend(&Scopes::read(OFFLINE_ACCESS));
        }
        Ok(scopes)
    }
}

/// Finds out who signs people in for the server at `server`, which has answered with `challenge`.
///
/// # Errors
/// When somebody cannot be reached, says nothing, or says what must not be followed.
pub async fn discover(
    http: &AuthHttp,
    server: &Url,
    challenge: &Challenge,
) -> Result<Discovered, SignInError> {
    http.check_server(server)?;
    let lacking = challenge.scopes.clone().filter(|_| challenge.lacks_scope()).unwrap_or_default();
    let said = |needed: Option<Vec<String>>| {
        challenge.scopes.clone().or_else(|| needed.map(|scopes| scopes.into_iter().collect()))
    };
    let found = find_resource(http, server, challenge).await;
    // A server that answers everything with a page of its own, or an error, may have the other document nevertheless.
    let (resource, unusable) = match found {
        Err(error @ SignInError::Broken { .. }) if challenge.resource_metadata.is_none() => {
            (None, Some(error))
        }
        found => (found?, None),
    };
    if let Some(resource) = resource {
        check_resource(&resource.resource, server)?;
        let issuer =
            resource.authorization_servers.first().ok_or_else(|| SignInError::NoMetadata(place(server)))?;
        let found = find_server(http, &http.check(issuer, "its authorization server")?).await?;
        let metadata = found.ok_or_else(|| SignInError::NoMetadata(shown(issuer)))?;
        check_issuer(&metadata.issuer, issuer)?;
        return read_server(http, metadata, resource.resource, said(resource.scopes_supported), lacking);
    }
    // Revision 2025-03-26: the server is its own authorization server.
    let found = find_server(http, &at_path(server, "/")).await?;
    let metadata = found.ok_or_else(|| unusable.unwrap_or_else(|| SignInError::NoMetadata(place(server))))?;
    if !Url::parse(&metadata.issuer).is_ok_and(|issuer| issuer.origin() == server.origin()) {
        return Err(other_issuer(&metadata.issuer, &place(server)));
    }
    read_server(http, metadata, at_path(server, server.path()).to_string(), said(None), lacking)
}

/// Checks what an authorization server says of itself.
fn read_server(
    http: &AuthHttp,
    metadata: ServerMetadata,
    resource: String,
    scopes: Option<Scopes>,
    lacking: Scopes,
) -> Result<Discovered, SignInError> {
    let issuer = metadata.issuer;
    if !metadata.code_challenge_methods_supported.iter().any(|method| method == "S256") {
        let text = format!(
            "{} does not say that it speaks PKCE with S256, without which nobody may sign in",
            shown(&issuer)
        );
        return Err(SignInError::Untrustworthy(text));
    }
    let endpoint = |address: Option<String>, what: &str| {
        address.map(|address| http.check(&address, &format!("the {what} of {}", shown(&issuer)))).transpose()
    };
    let missing = |what: &str| SignInError::Untrustworthy(format!("{} names no {what}", shown(&issuer)));
    let (page, token) = ("authorization endpoint", "token endpoint");
    let authorization_endpoint =
        endpoint(metadata.authorization_endpoint, page)?.ok_or_else(|| missing(page))?;
    let gives_issuer = metadata.authorization_response_iss_parameter_supported;
    if !gives_issuer && !is_of_issuer(&authorization_endpoint, &issuer) {
        let (issuer, at) = (shown(&issuer), place(&authorization_endpoint));
        return Err(SignInError::Untrustworthy(format!(
            "{issuer} has its page at {at}, and does not say that answers will name it (`iss`): a code of {at} could be meant \
             for somebody else"
        )));
    }
    Ok(Discovered {
        resource,
        scopes,
        authorization_endpoint,
        token_endpoint: endpoint(metadata.token_endpoint, token)?.ok_or_else(|| missing(token))?,
        registration_endpoint: endpoint(metadata.registration_endpoint, "registration endpoint")?,
        device_authorization_endpoint: endpoint(metadata.device_authorization_endpoint, "device endpoint")?,
        token_auth_methods: metadata.token_endpoint_auth_methods_supported,
        takes_client_documents: metadata.client_id_metadata_document_supported,
        gives_issuer,
        offers_offline_access: metadata.scopes_supported.iter().any(|scope| scope == OFFLINE_ACCESS),
        lacking,
        issuer,
    })
}

/// Whether a page is that of an authorization server. A server that names another one's page would be sent that one's code and
/// could spend it there, unless answers say whom they come from (RFC 9700, section 4.4).
fn is_of_issuer(page: &Url, issuer: &str) -> bool {
    Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == page.origin())
}

/// The metadata of the server, from the place that its challenge names, else from the usual places.
async fn find_resource(
    http: &AuthHttp,
    server: &Url,
    challenge: &Challenge,
) -> Result<Option<ResourceMetadata>, SignInError> {
    if let Some(named) = &challenge.resource_metadata {
        let at = http.check(named, "the metadata of the server")?;
        return match http.get(&at).await? {
            Some(found) => Ok(Some(found)),
            None => Err(SignInError::NoMetadata(shown(named))),
        };
    }
    find_first(http, resource_places(server)).await
}

/// The metadata of an authorization server, from the first place that has any.
async fn find_server(http: &AuthHttp, issuer: &Url) -> Result<Option<ServerMetadata>, SignInError> {
    find_first(http, server_places(issuer)).await
}

/// The document at the first place that has one. What is no such document is an error only where no other place has one.
async fn find_first<T: DeserializeOwned>(
    http: &AuthHttp,
    places: Vec<Url>,
) -> Result<Option<T>, SignInError> {
    let mut unusable = None;
    for at in places {
        match http.get(&at).await {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(error @ SignInError::Broken { .. }) => unusable = unusable.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    unusable.map_or(Ok(None), Err)
}

/// Where the metadata of a resource usually are (RFC 9728, section 3.1): for its path, then for its host.
fn resource_places(server: &Url) -> Vec<Url> {
    let well_known = "/.well-known/oauth-protected-resource";
    let path = server.path().trim_end_matches('/');
    let mut places = vec![at_path(server, &format!("{well_known}{path}"))];
    if !path.is_empty() {
        places.push(at_path(server, well_known));
    }
    places
}

/// Where the metadata of an authorization server are: those of OAuth, then those of OpenID Connect, which are also behind the
/// path (MCP 2026-07-28, authorization server metadata discovery).
fn server_places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let oauth = at_path(issuer, &format!("/.well-known/oauth-authorization-server{path}"));
    let openid = at_path(issuer, &format!("/.well-known/openid-configuration{path}"));
    let mut places = vec![oauth, openid];
    if !path.is_empty() {
        places.push(at_path(issuer, &format!("{path}/.well-known/openid-configuration")));
    }
    places
}

fn at_path(url: &Url, path: &str) -> Url {
    let mut url = without_login(url);
    url.set_path(path);
    url.set_query(None);
    url
}

/// The address without a name, a password or a fragment, which are nobody else's business.
fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    // They fail for addresses without a host alone, which have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Checks that metadata are those of the server: of the same origin, and of its path or one above. Otherwise tokens that
/// another server accepts would be asked for.
fn check_resource(resource: &str, server: &Url) -> Result<(), SignInError> {
    let covers = Url::parse(resource).is_ok_and(|resource| {
        let (above, path) = (resource.path().trim_end_matches('/'), server.path().trim_end_matches('/'));
        resource.origin() == server.origin()
            && resource.fragment().is_none()
            && path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if covers {
        return Ok(());
    }
    // Not its query, which may hold a key.
    let asked = at_path(server, server.path());
    let text = format!("the server says that it is `{}`, and was asked at {asked}", shown(resource));
    Err(SignInError::Untrustworthy(text))
}

/// Checks that metadata are those of the authorization server that was asked (RFC 8414, section 3.3). A `/` behind a host is
/// the only difference that is allowed: libraries add it.
fn check_issuer(says: &str, asked: &str) -> Result<(), SignInError> {
    let host_alone = |text: &str| {
        let url = Url::parse(text).ok()?;
        (url.path() == "/" && url.query().is_none()).then_some(url)
    };
    let is_same = says == asked || host_alone(says).is_some_and(|says| Some(says) == host_alone(asked));
    if is_same { Ok(()) } else { Err(other_issuer(says, asked)) }
}

fn other_issuer(says: &str, asked: &str) -> SignInError {
    let text = format!("the authorization server {} calls itself `{}`", shown(asked), shown(says));
    SignInError::Untrustworthy(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(urls: Vec<Url>) -> Vec<String> {
        urls.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn metadata_are_looked_for_where_the_specification_says() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert_eq!(
            texts(resource_places(&url("https://a.example/b/c/?d=e"))),
            [
                "https://a.example/.well-known/oauth-protected-resource/b/c",
                "https://a.example/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            texts(resource_places(&url("https://a.example"))),
            ["https://a.example/.well-known/oauth-protected-resource"]
        );
        assert_eq!(
            texts(server_places(&url("https://a.example/t"))),
            [
                "https://a.example/.well-known/oauth-authorization-server/t",
                "https://a.example/.well-known/openid-configuration/t",
                "https://a.example/t/.well-known/openid-configuration"
            ]
        );
        assert_eq!(server_places(&url("https://a.example/")).len(), 2);
    }

    #[test]
    fn a_resource_must_be_the_server_or_above_it() {
        let server = Url::parse("https://a.example/mcp/x").unwrap();
        for good in [
            "https://a.example/mcp/x",
            "https://a.example/mcp/",
            "https://a.example",
            "https://a.example:443/mcp/x/",
        ] {
            assert!(check_resource(good, &server).is_ok(), "{good}");
        }
        for bad in [
            "https://evil.example/mcp/x",
            "http://a.example/mcp/x",
            "https://a.example:444/mcp/x",
            "https://a.example/mcp/xy",
            "https://a.example/mc",
            "https://a.example/mcp/x#f",
            "a.example/mcp/x",
        ] {
            assert!(check_resource(bad, &server).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_issuer_must_be_who_was_asked() {
        for (says, asked) in [
            ("https://a.example/t", "https://a.example/t"),
            ("https://a.example", "https://a.example/"),
            ("https://a.example/", "https://a.example"),
        ] {
            assert!(check_issuer(says, asked).is_ok(), "{says} {asked}");
        }
        for (says, asked) in [
            ("https://b.example", "https://a.example"),
            ("https://a.example/t/", "https://a.example/t"),
            ("https://a.example/T", "https://a.example/t"),
            ("", "https://a.example"),
        ] {
            assert!(check_issuer(says, asked).is_err(), "{says} {asked}");
        }
    }
}
