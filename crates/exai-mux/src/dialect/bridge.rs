//! What a message of one era is in the other: pure edits, so that the rest of the message passes as it came.
//!
//! The rules are those of the compatibility notes of 2026-07-28 (basic/versioning) and of the official SDKs.

use std::ops::Range;

use exai_proto::json::{self, Edit};
use exai_proto::modern::{
    CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROTOCOL_VERSION, SERVER_INFO, SUBSCRIPTION_ID,
};
use exai_proto::params::Params;
use exai_proto::{Kind, Message, version};
use serde_json::{Value, json};

use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::log_level::LogLevel;
use crate::types::method::Method;

/// The members of `_meta` that only the modern era has.
const MODERN_META: [&str; 6] =
    [PROTOCOL_VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, LOG_LEVEL, SUBSCRIPTION_ID, SERVER_INFO];
/// The members of the parameters of a request that only the modern era has.
const MODERN_PARAMS: [&str; 2] = ["inputResponses", "requestState"];
/// The members of a result that only the modern era has.
const MODERN_RESULT: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// The members of `_meta` by which a request says what its client is and can do, and which log messages it wants.
pub(crate) fn describe_client(context: &ClientContext, level: Option<LogLevel>) -> String {
    let named = || {
        let said = |text: &Option<String>, instead: &str| text.clone().unwrap_or_else(|| instead.to_owned());
        json!({"name": said(&context.name, "unknown"), "version": said(&context.build, "0")}).to_string()
    };
    let client_info = context.client_info.as_deref();
    let client_info = client_info.map_or_else(named, |text| String::from_utf8_lossy(text).into_owned());
    let level = level.map_or_else(String::new, |level| format!(",\"{LOG_LEVEL}\":\"{}\"", level.name()));
    format!(
        "\"{PROTOCOL_VERSION}\":\"{}\",\"{CLIENT_INFO}\":{client_info},\"{CLIENT_CAPABILITIES}\":{}{level}",
        version::MODERN,
        context.capabilities
    )
}

/// The edit that makes a legacy request a modern one: its `_meta` says what the session of the client has said.
pub(crate) fn to_modern_request(
    message: &Message,
    params: &Params,
    context: &ClientContext,
    level: Option<LogLevel>,
) -> Option<Edit> {
    let members = describe_client(context, level);
    let text = message.bytes();
    if let Some(meta) = params.meta.as_ref().filter(|at| text[at.start] == b'{') {
        return Some(insert_first(text, meta, &members));
    }
    let Kind::Request { method, params: all, .. } = message.kind() else { return None };
    Some(match all {
        Some(all) if text[all.start] == b'{' => insert_first(text, all, &format!("\"_meta\":{{{members}}}")),
        // Parameters that are no object are none.
        Some(all) => Edit { at: all.clone(), with: format!("{{\"_meta\":{{{members}}}}}").into_bytes() },
        None => {
            let at = method.end + 1;
            Edit { at: at..at, with: format!(",\"params\":{{\"_meta\":{{{members}}}}}").into_bytes() }
        }
    })
}

/// The edits that make a modern request a legacy one. `token` takes the place of the progress token.
pub(crate) fn to_legacy_request(message: &Message, params: &Params, token: &[u8]) -> Vec<Edit> {
    let mut edits = remove_input(message);
    edits.extend(to_legacy_meta(message, params, token));
    edits
}

/// The edits that take out of a request what says that it was made before.
pub(crate) fn remove_input(message: &Message) -> Vec<Edit> {
    let Kind::Request { params: Some(all), .. } = message.kind() else { return Vec::new() };
    remove_members(message.bytes(), all, &MODERN_PARAMS)
}

fn to_legacy_meta(message: &Message, params: &Params, token: &[u8]) -> Option<Edit> {
    let (text, meta) = (message.bytes(), params.meta.clone()?);
    let mut members = json::Members::new(&text[..meta.end], meta.start).ok()?;
    let mut kept = vec![b'{'];
    while let Ok(Some(member)) = members.next_member() {
        if MODERN_META.iter().any(|key| json::is_key(&text[member.key.clone()], key)) {
            continue;
        }
        if kept.len() > 1 {
            kept.push(b',');
        }
        kept.push(b'"');
        kept.extend_from_slice(&text[member.key]);
        kept.extend_from_slice(b"\":");
        let is_token = params.token.as_ref() == Some(&member.value);
        kept.extend_from_slice(if is_token { token } else { &text[member.value] });
    }
    kept.push(b'}');
    Some(Edit { at: meta, with: kept })
}

/// The edits that make a modern result a legacy one.
pub(crate) fn to_legacy_result(text: &[u8], result: &Range<usize>) -> Vec<Edit> {
    remove_modern(text, result, &MODERN_RESULT)
}

/// The edits that make a legacy result a modern one. What a legacy server says is for nobody else, and for now.
pub(crate) fn to_modern_result(text: &[u8], result: &Range<usize>, method: Method) -> Vec<Edit> {
    let has = |key: &str| json::find(text, result.clone(), key).is_some();
    let mut members = Vec::new();
    if !has("resultType") {
        members.push("\"resultType\":\"complete\"");
    }
    if matches!(method, Method::List(_) | Method::ReadResource) && !has("ttlMs") && !has("cacheScope") {
        members.push("\"ttlMs\":0,\"cacheScope\":\"private\"");
    }
    if members.is_empty() || text.get(result.start) != Some(&b'{') {
        return Vec::new();
    }
    vec![insert_first(text, result, &members.join(","))]
}

/// The edit that gives an error of the legacy era the code that it has in the modern one: a resource that is not found.
pub(crate) fn to_modern_error(text: &[u8], error: &Range<usize>) -> Option<Edit> {
    let code = json::find(text, error.clone(), "code")?;
    (&text[code.clone()] == b"-32002").then(|| Edit { at: code, with: b"-32602".to_vec() })
}

/// The code of the error that there is no such resource.
pub(crate) fn resource_not_found(era: Era) -> i32 {
    match era {
        Era::Legacy => -32002,
        Era::Modern => -32602,
    }
}

/// The edits that make a notification of a modern server one that a legacy client may have.
pub(crate) fn to_legacy_notification(message: &Message) -> Vec<Edit> {
    let Kind::Notification { params: Some(params), .. } = message.kind() else { return Vec::new() };
    remove_modern(message.bytes(), params, &[])
}

/// The edits that take out of an object what only the modern era has: these members, and what its `_meta` has of that era.
/// No empty `_meta` is left.
fn remove_modern(text: &[u8], object: &Range<usize>, own: &[&str]) -> Vec<Edit> {
    let meta = json::find(text, object.clone(), "_meta");
    if meta.as_ref().is_some_and(|meta| has_only(text, meta, &MODERN_META)) {
        return remove_members(text, object, &[own, &["_meta"]].concat());
    }
    let mut edits = remove_members(text, object, own);
    edits.extend(meta.into_iter().flat_map(|meta| remove_members(text, &meta, &MODERN_META)));
    edits
}

/// Whether an object has members, and all of them are among these.
fn has_only(text: &[u8], object: &Range<usize>, keys: &[&str]) -> bool {
    let Ok(mut members) = json::Members::new(&text[..object.end], object.start) else { return false };
    let mut has_any = false;
    while let Ok(Some(member)) = members.next_member() {
        if !keys.iter().any(|key| json::is_key(&text[member.key.clone()], key)) {
            return false;
        }
        has_any = true;
    }
    has_any
}

/// The whole of a result that the router makes of lists, in the modern era.
pub(crate) fn complete_list(result: &[u8]) -> Vec<u8> {
    let whole = 0..result.len();
    json::splice(
        result,
        to_modern_result(result, &whole, Method::List(crate::types::list_kind::ListKind::Tools)),
    )
}

/// The members of a notification that say which `subscriptions/listen` it belongs to.
pub(crate) fn subscription_meta(id: &[u8]) -> String {
    format!("\"_meta\":{{\"{SUBSCRIPTION_ID}\":{}}}", String::from_utf8_lossy(id))
}

/// The capabilities that a legacy server has for modern clients.
pub(crate) fn to_modern_capabilities(capabilities: &Value) -> Value {
    let mut kept = capabilities.clone();
    if let Some(all) = kept.as_object_mut() {
        // Tasks are an extension in the modern era, and another protocol.
        all.remove("tasks");
        all.remove("experimental");
    }
    if kept.is_object() { kept } else { json!({}) }
}

/// What a modern server has said of itself, as the result of the `initialize` of a client that asks for this revision.
pub(crate) fn to_initialize_result(client_version: &str, discover_result: &[u8]) -> String {
    let said: Value = serde_json::from_slice(discover_result).unwrap_or_default();
    let server_info = match &said["_meta"][SERVER_INFO] {
        info @ Value::Object(_) => info.clone(),
        _ => json!({"name": "unknown", "version": "0"}),
    };
    let mut result = json!({
        "protocolVersion": version::answered(client_version, version::NEWEST_LEGACY),
        "capabilities": said["capabilities"].as_object().cloned().unwrap_or_default(),
        "serverInfo": server_info,
    });
    if said["instructions"].is_string() {
        result["instructions"] = said["instructions"].clone();
    }
    result.to_string()
}

/// The edit that puts members first into an object.
fn insert_first(text: &[u8], object: &Range<usize>, members: &str) -> Edit {
    let at = object.start + 1;
    let is_empty = text.get(json::skip_space(text, at)) == Some(&b'}');
    let comma = if is_empty { "" } else { "," };
    Edit { at: at..at, with: format!("{members}{comma}").into_bytes() }
}

/// The edits that take members out of an object.
fn remove_members(text: &[u8], object: &Range<usize>, keys: &[&str]) -> Vec<Edit> {
    let Ok(mut members) = json::Members::new(&text[..object.end], object.start) else { return Vec::new() };
    let mut edits: Vec<Edit> = Vec::new();
    // Where the last member that stays ends, and where the first of those that go now begins.
    let (mut kept_end, mut gone_from): (Option<usize>, Option<usize>) = (None, None);
    let mut gone_to = object.start + 1;
    while let Ok(Some(member)) = members.next_member() {
        let start = member.key.start - 1;
        if keys.iter().any(|key| json::is_key(&text[member.key.clone()], key)) {
            gone_from.get_or_insert(start);
            gone_to = member.value.end;
            continue;
        }
        if let Some(from) = gone_from.take() {
            edits.push(Edit { at: from..start, with: Vec::new() });
        }
        kept_end = Some(member.value.end);
    }
    if let Some(from) = gone_from {
        // With the comma before them.
        edits.push(Edit { at: kept_end.unwrap_or(from)..gone_to, with: Vec::new() });
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, keys: &[&str]) -> String {
        let edits = remove_members(text.as_bytes(), &(0..text.len()), keys);
        String::from_utf8(json::splice(text.as_bytes(), edits)).expect("text")
    }

    #[test]
    fn no_empty_meta_is_left_of_one_that_was_all_modern() {
        let text = |meta: &str| format!(r#"{{"resultType":"complete","x":1,"_meta":{meta}}}"#);
        for (meta, left) in [
            (r#"{"io.modelcontextprotocol/serverInfo":{}}"#, r#"{"x":1}"#),
            (r#"{"io.modelcontextprotocol/serverInfo":{},"own":1}"#, r#"{"x":1,"_meta":{"own":1}}"#),
            ("{}", r#"{"x":1,"_meta":{}}"#),
        ] {
            let text = text(meta);
            let edits = to_legacy_result(text.as_bytes(), &(0..text.len()));
            assert_eq!(json::splice(text.as_bytes(), edits), left.as_bytes());
        }
    }

    #[test]
    fn members_go_wherever_they_are_and_the_rest_stays_as_it_is() {
        for (text, left) in [
            (r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
            (r#"{"b":2,"a":1}"#, r#"{"b":2}"#),
            (r#"{"b":2 , "a":1 , "c":3}"#, r#"{"b":2 , "c":3}"#),
            (r#"{"a":1,"x":{"a":0},"x2":1,"y":2}"#, r#"{"x":{"a":0},"x2":1}"#),
            (r#"{"a":1,"y":2}"#, "{}"),
            (r#"{ "a":1 }"#, "{  }"),
            (r#"{"b":1,"a":1,"y":2}"#, r#"{"b":1}"#),
            (r#"{"a":1,"b":1,"y":2,"c":3,"a2":4}"#, r#"{"b":1,"c":3,"a2":4}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(without(text, &["a", "y"]), left, "{text}");
            serde_json::from_str::<Value>(left).expect("JSON");
        }
    }

    #[test]
    fn a_result_says_what_the_modern_era_wants_once() {
        let modern = |text: &str, method| {
            let edits = to_modern_result(text.as_bytes(), &(0..text.len()), method);
            String::from_utf8(json::splice(text.as_bytes(), edits)).expect("text")
        };
        assert_eq!(modern("{}", Method::CallTool), r#"{"resultType":"complete"}"#);
        assert_eq!(
            modern(r#"{"contents":[]}"#, Method::ReadResource),
            r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","contents":[]}"#
        );
        assert_eq!(modern(r#"{"resultType":"task"}"#, Method::CallTool), r#"{"resultType":"task"}"#);
    }
}
