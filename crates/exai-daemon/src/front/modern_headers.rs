//! What the headers of a request of the revision 2026-07-28 must say, and the status of its answer. Pure.
//!
//! Such a request repeats some of its body in headers, so that proxies need not read the body. What contradicts is
//! refused, since a proxy and the server would act on different words. The rules are those of the specification:
//! basic/transports/streamable-http, "Request Metadata".

use axum::http::{HeaderMap, StatusCode};
use exai_mux::ParameterHeader;
use exai_proto::modern::{
    HEADER_MISMATCH, MISSING_CAPABILITY, PROTOCOL_VERSION, UNSUPPORTED_VERSION, error_code,
};
use exai_proto::params::AMBIGUOUS;
pub(crate) use exai_proto::request_metadata::VERSION;
use exai_proto::request_metadata::{METHOD, NAME, PARAMETER, decode, named_by};
use exai_proto::{Kind, Message, Segments, json, version};

use crate::front::arrival::only;

/// The error that refuses a request, with the status 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// Whether a message is of the modern era: its body says so or, where the body says nothing, its header. `initialize`
/// begins a legacy session, whatever revision the header names.
pub(crate) fn is_modern(headers: &HeaderMap, message: &Message) -> bool {
    let begins_session =
        matches!(message.kind(), Kind::Request { method, .. } if message.str_at(method) == "initialize");
    message.params().is_some_and(|params| params.modern.version.is_some())
        || !begins_session && only(headers, VERSION).is_some_and(version::is_modern)
}

/// Whether the `_meta` of a request has all that it must have.
pub(crate) fn has_whole_meta(request: &Message) -> bool {
    let Some(params) = request.params() else { return false };
    let starts = |at: &Option<std::ops::Range<usize>>, with| {
        at.as_ref().is_some_and(|at| request.at(at).first() == Some(&with))
    };
    starts(&params.modern.version, b'"') && starts(&params.modern.client_capabilities, b'{')
}

/// The tool that a request calls.
pub(crate) fn called_tool(request: &Message) -> Option<String> {
    let Kind::Request { method, .. } = request.kind() else { return None };
    let name = request.params().filter(|_| request.str_at(method) == "tools/call")?.name.as_ref();
    request.string_at(name)
}

/// Checks the headers that every request must have. What the router looks at is not checked here.
pub(crate) fn check_request(headers: &HeaderMap, request: &Message) -> Result<(), Refusal> {
    let Kind::Request { method, .. } = request.kind() else { return Ok(()) };
    let Some(params) = request.params() else {
        return Err(ambiguous());
    };
    let Some(version) = &params.modern.version else {
        let text = format!("Invalid params: `_meta` needs {PROTOCOL_VERSION}");
        return Err(Refusal { code: -32602, text });
    };
    if let Some(version) = request.string_at(Some(version)) {
        compare(headers, VERSION, |said| said == version)?;
    }
    let method = request.str_at(method);
    compare(headers, METHOD, |said| said == method)?;
    match named_by(request).map_err(|json::Ambiguous| ambiguous())? {
        Some(named) => compare(headers, NAME, |said| decode(said).is_some_and(|said| said == named)),
        None => Ok(()),
    }
}

/// Checks the headers that repeat arguments of a tool, which are known from its schema. Only strings, booleans and numbers
/// can be repeated.
pub(crate) fn check_arguments(
    headers: &HeaderMap,
    request: &Message,
    repeated: &[ParameterHeader],
) -> Result<(), Refusal> {
    let text = request.bytes();
    let arguments = request.params().and_then(|params| params.arguments.clone());
    for ParameterHeader { name, path } in repeated {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let found = arguments.clone().map(|arguments| json::find_sole_path(text, arguments, &path));
        let argument = found
            .transpose()
            .map_err(|json::Ambiguous| ambiguous())?
            .flatten()
            .filter(|at| !matches!(text[at.start], b'n' | b'{' | b'['));
        let header = format!("{PARAMETER}{}", name.to_ascii_lowercase());
        match argument {
            Some(at) => compare(headers, &header, |said| {
                decode(said).is_some_and(|said| match json::string(text, at.clone()) {
                    Some(argument) => argument == said,
                    None => is_same_literal(request.str_at(&at), &said),
                })
            })?,
            None if headers.contains_key(&header) => return Err(mismatch(&header)),
            None => {}
        }
    }
    Ok(())
}

/// The refusal of a request in which the server could read another value than the one that is compared here.
fn ambiguous() -> Refusal {
    Refusal { code: -32602, text: AMBIGUOUS.to_owned() }
}

/// Whether a boolean or a number of the body is what a header says. `42` and `42.0` are the same.
fn is_same_literal(literal: &str, said: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    literal == said
        || number(literal).zip(number(said)).is_some_and(|(one, other)| one.total_cmp(&other).is_eq())
}

/// Checks a header that must be there once.
fn compare(headers: &HeaderMap, name: &str, is_right: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    if !headers.contains_key(name) {
        let text = format!("Header mismatch: the header {name} is missing");
        return Err(Refusal { code: HEADER_MISMATCH, text });
    }
    if only(headers, name).is_some_and(is_right) { Ok(()) } else { Err(mismatch(name)) }
}

fn mismatch(name: &str) -> Refusal {
    let text = format!("Header mismatch: the header {name} does not say what the body says");
    Refusal { code: HEADER_MISMATCH, text }
}

/// The status of an answer that is sent as a document. `whole_meta` says whether the request had all that its `_meta`
/// must have.
pub(crate) fn status(answer: &Segments, whole_meta: bool) -> StatusCode {
    match find_error_code(answer) {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32602) if !whole_meta => StatusCode::BAD_REQUEST,
        Some(-32600 | -32700 | HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION) => {
            StatusCode::BAD_REQUEST
        }
        Some(_) | None => StatusCode::OK,
    }
}

/// The code of the error that an answer is. Looks at the keys only, since every answer passes here. An answer in several
/// segments is long, and taken for a result.
fn find_error_code(answer: &Segments) -> Option<i32> {
    let text = answer.as_whole()?;
    let mut members = json::Members::new(text, json::skip_space(text, 0)).ok()?;
    while let Some(key) = members.next_key() {
        if json::is_key(&text[key.clone()], "result") {
            return None;
        }
        let is_error = json::is_key(&text[key], "error");
        let member = members.next_member().ok()??;
        if is_error {
            return error_code(text, member.value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
