//! What the server is, and how it behaves.

use serde_json::{Value, json};

use super::settings::Settings;

/// What stays as it is while the server runs. [`Options::default`] protects `/mcp` with the scope `mcp`, announces dynamic
/// registration and no client id metadata documents.
#[derive(Debug, Clone)]
pub struct Options {
    /// The protected MCP servers.
    pub resources: Vec<Resource>,
    /// The path of the issuer, such as `/tenant`; empty for none. All endpoints are below it.
    pub issuer_path: String,
    /// Where the metadata of the authorization server are.
    pub discovery: Discovery,
    /// What differs in these metadata, as a JSON merge patch: null drops a member. The server behaves accordingly:
    /// without `registration_endpoint` nobody can register, without `client_id_metadata_document_supported` no URL is
    /// a client, and only the announced methods of authentication are accepted.
    pub metadata: Value,
    /// Where the metadata of the protected resources are.
    pub resource_metadata_place: Place,
    /// What differs in the metadata of each protected resource, as a JSON merge patch.
    pub resource_metadata: Value,
    /// What a 401 tells.
    pub challenge: Challenge,
    /// The clients that are registered beforehand.
    pub clients: Vec<KnownClient>,
    /// What may change later.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            resources: vec![Resource::new("/mcp", &["mcp"])],
            issuer_path: String::new(),
            discovery: Discovery::OAuth,
            metadata: json!({}),
            resource_metadata_place: Place::AtPath,
            resource_metadata: json!({}),
            challenge: Challenge::Full,
            clients: Vec::new(),
            settings: Settings::default(),
        }
    }
}

/// A protected MCP server. Its tool `whoami` says whom a token stands for, and `admin` needs the scope `admin`.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its path, such as `/mcp`.
    pub path: String,
    /// The scopes that every request needs.
    pub scopes: Vec<String>,
    /// The scopes that the metadata name; `None` names none.
    pub scopes_supported: Option<Vec<String>>,
    /// The tools that need one scope more: name and scope.
    pub tools: Vec<(String, String)>,
    /// The `http` URL on this machine of the server that gets what is let in, without the token. Without one, a built-in
    /// server answers.
    pub upstream: Option<String>,
}

impl Resource {
    /// A resource with the built-in server. Its metadata name the scopes that every request needs.
    pub fn new(path: &str, scopes: &[&str]) -> Self {
        let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
        let tools = vec![("admin".to_owned(), "admin".to_owned())];
        Resource {
            path: path.to_owned(),
            scopes_supported: Some(scopes.clone()),
            scopes,
            tools,
            upstream: None,
        }
    }

    /// A resource with a server of the test behind it.
    pub fn protecting(path: &str, scopes: &[&str], upstream: &str) -> Self {
        Resource { upstream: Some(upstream.to_owned()), ..Resource::new(path, scopes) }
    }
}

/// Where the metadata of the authorization server are. Every other place answers 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// `/.well-known/oauth-authorization-server`, before the path of the issuer.
    OAuth,
    /// `/.well-known/openid-configuration`, before the path of the issuer.
    OpenIdInserted,
    /// `/.well-known/openid-configuration`, behind the path of the issuer.
    OpenIdAppended,
}

/// Where the metadata of the protected resources are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `/.well-known/oauth-protected-resource` before the path of each resource.
    AtPath,
    /// `/.well-known/oauth-protected-resource` alone, which describes the first resource.
    AtRoot,
}

/// What a 401 tells besides that a token is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// `resource_metadata` and `scope`.
    Full,
    /// `scope` alone.
    WithoutMetadata,
    /// `resource_metadata` alone.
    WithoutScope,
    /// Nothing: there is no `WWW-Authenticate` at all.
    Absent,
}

/// A client that is registered beforehand. Its redirect URIs are those of this machine, at any port.
#[derive(Debug, Clone)]
pub struct KnownClient {
    /// Its id.
    pub id: String,
    /// Its secret, which it may send in the body or in a header.
    pub secret: Option<String>,
}
