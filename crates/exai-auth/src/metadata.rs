//! The documents in which servers describe themselves. Fields that are not needed are not read.

use serde::{Deserialize, Deserializer};

/// Metadata of a protected resource (RFC 9728, section 2).
#[derive(Debug, Deserialize)]
pub(crate) struct ResourceMetadata {
    pub(crate) resource: String,
    #[serde(default, deserialize_with = "read_or_default")]
    pub(crate) authorization_servers: Vec<String>,
    pub(crate) scopes_supported: Option<Vec<String>>,
}

/// Metadata of an authorization server (RFC 8414, section 2; OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServerMetadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) registration_endpoint: Option<String>,
    pub(crate) device_authorization_endpoint: Option<String>,
    #[serde(default, deserialize_with = "read_or_default")]
    pub(crate) code_challenge_methods_supported: Vec<String>,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default, deserialize_with = "read_or_default")]
    pub(crate) scopes_supported: Vec<String>,
    #[serde(default, deserialize_with = "read_or_default")]
    pub(crate) client_id_metadata_document_supported: bool,
    #[serde(default, deserialize_with = "read_or_default")]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

/// A member that is null is absent: some servers write all that they know of.
fn read_or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
