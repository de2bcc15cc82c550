//! The revision 2026-07-28: no session, each request says of itself what its client is and can do.
//!
//! Where the rules come from: basic/index, basic/versioning and server/discover of the specification.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use exai_proto::json;
use exai_proto::modern::{
    CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION, SERVER_INFO, UNSUPPORTED_VERSION,
};
use exai_proto::params::ModernMeta;
use exai_proto::{Id, Message, answer, limits, version};
use serde_json::{Value, json};

use crate::dialect::{bridge, read_capabilities};
use crate::limits::MAX_CLIENT_INFO_BYTES;
use crate::types::capability::{normalise_capabilities, parse_capabilities};
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::introduction::Introduction;
use crate::types::log_level::LogLevel;

/// What the router itself says of its requests to servers.
const OWN_CLIENT_INFO: &str = concat!("{\"name\":\"exai\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

/// What is wrong with the `_meta` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadMeta {
    /// A member that a request must have is missing, or is no such value: its name.
    Missing(&'static str),
    /// The revision is not supported.
    Version(String),
}

/// Reads the revision that a message says it is written in. `None` for a message of the legacy era.
pub(crate) fn read_version<'a>(message: &'a Message, meta: &ModernMeta) -> Option<Cow<'a, str>> {
    json::string(message.bytes(), meta.version.clone()?)
}

/// Reads what a request says of its client.
pub(crate) fn read_context(message: &Message, meta: &ModernMeta) -> Result<ClientContext, BadMeta> {
    let text = message.bytes();
    let requested = read_version(message, meta).ok_or(BadMeta::Missing(PROTOCOL_VERSION))?;
    if requested != version::MODERN {
        return Err(BadMeta::Version(limits::cut(&requested, limits::NAME_CHARS)));
    }
    let object = |place: &Option<Range<usize>>| place.clone().filter(|at| text[at.start] == b'{');
    let Some(capabilities) = object(&meta.client_capabilities) else {
        return Err(BadMeta::Missing(CLIENT_CAPABILITIES));
    };
    let declared = normalise_capabilities(&text[capabilities]);
    let client_info = object(&meta.client_info);
    let said = |key: &str| {
        let at = json::find(text, client_info.clone()?, key)?;
        Some(limits::cut(&json::string(text, at)?, limits::NAME_CHARS))
    };
    let level = meta.log_level.clone().and_then(|at| LogLevel::parse(&json::string(text, at)?));
    Ok(ClientContext {
        era: Era::Modern,
        version: requested.into_owned(),
        can: parse_capabilities(&declared),
        capabilities: declared.into(),
        name: said("name"),
        build: said("version"),
        client_info: client_info
            .clone()
            .filter(|at| at.len() <= MAX_CLIENT_INFO_BYTES)
            .map(|at| text[at].into()),
        level,
    })
}

/// The bytes of a request that [`read_context`] reads. Requests with the same bytes have the same context.
pub(crate) fn context_bytes<'a>(message: &'a Message, meta: &ModernMeta) -> [&'a [u8]; 4] {
    let at = |place: &Option<Range<usize>>| place.as_ref().map_or(&b""[..], |at| message.at(at));
    [at(&meta.version), at(&meta.client_info), at(&meta.client_capabilities), at(&meta.log_level)]
}

/// Reads what a server answered to `server/discover`. `None` if it does not speak the modern revision.
pub(crate) fn read_discover_result(result: Bytes) -> Option<Introduction> {
    let whole = 0..result.len();
    let versions = json::find(&result, whole.clone(), "supportedVersions")?;
    let speaks = json::elements(&result, versions)
        .any(|at| json::string(&result, at).is_some_and(|one| one == version::MODERN));
    if !speaks {
        return None;
    }
    let capabilities = read_capabilities(&result);
    Some(Introduction { era: Era::Modern, result, version: version::MODERN.to_owned(), capabilities })
}

/// The members of `_meta` by which the router's own requests introduce it. `capabilities` is JSON text.
fn own_meta(capabilities: &str) -> String {
    format!(
        "\"{PROTOCOL_VERSION}\":\"{}\",\"{CLIENT_INFO}\":{OWN_CLIENT_INFO},\"{CLIENT_CAPABILITIES}\":{capabilities}",
        version::MODERN
    )
}

/// Writes the router's `server/discover` to a server.
pub(crate) fn write_discover(number: u64) -> Bytes {
    answer::request(number, "server/discover", &format!("{{\"_meta\":{{{}}}}}", own_meta("{}")))
}

/// Writes the parameters of a request of the router's own. `params` is the JSON text of an object without `_meta`.
pub(crate) fn write_own_params(params: &str) -> String {
    let rest = params.trim_start_matches('{');
    let comma = if rest.starts_with('}') { "" } else { "," };
    format!("{{\"_meta\":{{{}}}{comma}{rest}", own_meta("{}"))
}

/// Writes the answer to a client's `server/discover` on the endpoint of one server: what the server has said of itself,
/// without the revisions that exai does not know. The answer comes from memory, so it may not be kept.
pub(crate) fn write_discover_result(id: &Id, said: &Introduction) -> Bytes {
    let mut result: Value = serde_json::from_slice(&said.result).unwrap_or_default();
    result["supportedVersions"] = read_supported_versions(&said.result).into();
    result["resultType"] = "complete".into();
    result["ttlMs"] = 0.into();
    result["cacheScope"] = "private".into();
    // Clients that check what they read would do without the whole server.
    if !result["capabilities"].is_object() {
        result["capabilities"] = json!({});
    }
    if let Some(members) = result.as_object_mut() {
        members.retain(|key, value| match key.as_str() {
            "instructions" => value.is_string(),
            "_meta" => value.is_object(),
            _ => true,
        });
    }
    answer::result(id, result.to_string().as_bytes())
}

/// Writes the answer to a client's `server/discover` at a server that speaks the legacy era, and whose messages are
/// bridged.
pub(crate) fn write_bridged_discover_result(id: &Id, said: &Introduction) -> Bytes {
    let said: Value = serde_json::from_slice(&said.result).unwrap_or_default();
    let capabilities = bridge::to_modern_capabilities(&said["capabilities"]);
    let instructions = said["instructions"].as_str().map(ToOwned::to_owned);
    write_made_discover_result(id, capabilities, &said["serverInfo"], instructions)
}

/// Writes the answer to a client's `server/discover` on the endpoint of several servers.
pub(crate) fn write_own_discover_result(id: &Id, capabilities: Value, instructions: Option<String>) -> Bytes {
    let server_info = json!({"name": "exai", "version": env!("CARGO_PKG_VERSION")});
    write_made_discover_result(id, capabilities, &server_info, instructions)
}

/// Writes a discover result that no server has written. A `server_info` that is no object is left out.
fn write_made_discover_result(
    id: &Id,
    capabilities: Value,
    server_info: &Value,
    instructions: Option<String>,
) -> Bytes {
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": version::supported(true).collect::<Vec<_>>(),
        "capabilities": capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
    });
    if server_info.is_object() {
        result["_meta"] = json!({SERVER_INFO: server_info});
    }
    if let Some(instructions) = instructions {
        result["instructions"] = instructions.into();
    }
    answer::result(id, result.to_string().as_bytes())
}

/// The revisions that a server says it speaks, without those that exai does not know.
pub(crate) fn read_supported_versions(discover_result: &[u8]) -> Vec<String> {
    let all = json::find(discover_result, 0..discover_result.len(), "supportedVersions");
    let all = all.into_iter().flat_map(|at| json::elements(discover_result, at));
    let all = all.filter_map(|at| json::string(discover_result, at).map(Cow::into_owned));
    all.filter(|one| version::supported(true).any(|known| known == one)).collect()
}

/// Writes the refusal of a request whose revision is not among those that are supported here.
pub(crate) fn write_unsupported_version(id: &Id, requested: &str, supported: &[String]) -> Bytes {
    let data = json!({"supported": supported, "requested": requested}).to_string();
    let text = format!("Unsupported protocol version: {requested}");
    answer::error_with_data(id, UNSUPPORTED_VERSION, &text, &data)
}
