//! The documents by which clients find their way.

use serde_json::{Value, json};

use super::answer::Answer;
use super::options::{Discovery, Place, Resource};
use super::settings::RefreshTokens;
use super::state::{DEVICE_CODE, Shared, State};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// The issuer, which is also what the URLs of all endpoints begin with.
pub(super) fn issuer(shared: &Shared, state: &State) -> String {
    format!("{}{}", shared.origin(), state.issuer_path)
}

/// The metadata of the authorization server.
pub(super) fn of_server(shared: &Shared, state: &State) -> Value {
    let issuer = issuer(shared, state);
    let resources = &shared.options.resources;
    let mut scopes: Vec<&str> = Vec::new();
    for resource in resources {
        let tools = resource.tools.iter().map(|(_, scope)| scope);
        scopes.extend(
            resource
                .scopes
                .iter()
                .chain(resource.scopes_supported.iter().flatten())
                .chain(tools)
                .map(|s| &**s),
        );
    }
    if state.settings.refresh_tokens == RefreshTokens::Offline {
        scopes.push("offline_access");
    }
    scopes.sort_unstable();
    scopes.dedup();
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_CODE],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    if shared.options.discovery != Discovery::OAuth {
        // OpenID Connect Discovery wants these, and the official SDKs refuse a document without them.
        let openid = json!({
            "jwks_uri": format!("{issuer}/jwks"),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        merge(&mut metadata, &openid);
    }
    merge(&mut metadata, &shared.options.metadata);
    metadata
}

/// The URL of the metadata of a resource.
pub(super) fn place_of(shared: &Shared, resource: &Resource) -> String {
    match shared.options.resource_metadata_place {
        Place::AtPath => format!("{}{RESOURCE}{}", shared.origin(), resource.path),
        Place::AtRoot => format!("{}{RESOURCE}", shared.origin()),
    }
}

/// The document at a well-known place; `None` if nothing is there.
pub(super) fn find(shared: &Shared, state: &State, path: &str) -> Option<Answer> {
    let issuer_path = &state.issuer_path;
    let place = match shared.options.discovery {
        Discovery::OAuth => format!("{OAUTH}{issuer_path}"),
        Discovery::OpenIdInserted => format!("{OPENID}{issuer_path}"),
        Discovery::OpenIdAppended => format!("{issuer_path}{OPENID}"),
    };
    if path == place {
        return Some(Answer::json(200, &of_server(shared, state)));
    }
    let url = format!("{}{path}", shared.origin());
    let resource = shared.options.resources.iter().find(|resource| place_of(shared, resource) == url)?;
    let mut metadata = json!({
        "resource": shared.url_of(resource),
        "authorization_servers": [issuer(shared, state)],
        "bearer_methods_supported": ["header"],
    });
    if let Some(scopes) = &resource.scopes_supported {
        metadata["scopes_supported"] = json!(scopes);
    }
    merge(&mut metadata, &shared.options.resource_metadata);
    Some(Answer::json(200, &metadata))
}

/// Whether the list `name` of the metadata has this word. What is not announced is not restricted.
pub(super) fn announces(metadata: &Value, name: &str, word: &str) -> bool {
    metadata[name].as_array().is_none_or(|words| words.iter().any(|known| known == word))
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, change) in members {
        if change.is_null() {
            target.as_object_mut().map(|target| target.remove(name));
        } else {
            merge(&mut target[name], change);
        }
    }
}
