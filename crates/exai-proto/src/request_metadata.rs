//! What an HTTP request of the revision 2026-07-28 repeats of its body in headers, so that proxies need not read the body:
//! basic/transports/streamable-http of the specification, "Request Metadata".

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::json::{self, Ambiguous};
use crate::{Kind, Message};

/// The header with the revision, in both eras.
pub const VERSION: &str = "mcp-protocol-version";
/// The header with the method.
pub const METHOD: &str = "mcp-method";
/// The header with what a request is about: see [`named_by`].
pub const NAME: &str = "mcp-name";
/// How the headers begin that repeat arguments of a tool.
pub const PARAMETER: &str = "mcp-param-";

/// How text begins and ends that is encoded.
const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// What a request is about: the tool, the prompt, the resource or the task. `None` for other requests.
///
/// # Errors
/// If another parser could read another value.
pub fn named_by(request: &Message) -> Result<Option<String>, Ambiguous> {
    let (Kind::Request { method, params: place, .. }, Some(params)) = (request.kind(), request.params())
    else {
        return Ok(None);
    };
    Ok(match request.str_at(method) {
        "tools/call" | "prompts/get" => request.string_at(params.name.as_ref()),
        "resources/read" => request.string_at(params.uri.as_ref()),
        method if method.starts_with("tasks/") => {
            let at = place.clone().map(|place| json::find_sole_path(request.bytes(), place, &["taskId"]));
            request.string_at(at.transpose()?.flatten().as_ref())
        }
        _ => None,
    })
}

/// Writes a text as the value of a header. Text that does not fit into one is written as `=?base64?…?=`.
pub fn encode(text: &str) -> Cow<'_, str> {
    let fits = text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.starts_with(ENCODED.0);
    if fits {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{}{}", ENCODED.0, BASE64_STANDARD.encode(text), ENCODED.1))
}

/// The text that the value of a header stands for. `None` if that is no text.
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some(encoded) = value.strip_prefix(ENCODED.0).and_then(|rest| rest.strip_suffix(ENCODED.1)) else {
        return Some(value.into());
    };
    String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_and_is_encoded_only_where_it_must_be() {
        for plain in ["", "a tool", "x=y?", "=?utf8?x?="] {
            assert_eq!(encode(plain), plain);
        }
        for text in ["ää", " x", "x ", "a\tb", "a\r\nb", "=?base64?eA==?=", "=?base64?", "\u{7f}"] {
            let value = encode(text);
            assert!(value.bytes().all(|byte| byte.is_ascii_graphic()) && value != text, "{text}: {value}");
            assert_eq!(decode(&value).as_deref(), Some(text));
        }
        assert_eq!(decode("=?base64?/w==?="), None, "no UTF-8");
        assert_eq!(decode("=?base64?!?="), None);
    }

    #[test]
    fn what_a_request_is_about_is_found_where_there_is_something() {
        for (method, params, named) in [
            ("tools/call", r#""name":"t""#, Some("t")),
            ("prompts/get", r#""name":"p\u0041""#, Some("pA")),
            ("resources/read", r#""uri":"r://x","name":"n""#, Some("r://x")),
            ("tasks/get", r#""taskId":"7""#, Some("7")),
            ("tools/list", r#""name":"t""#, None),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
            let message = Message::parse(text.into()).expect("a message");
            assert_eq!(named_by(&message).expect("it is clear").as_deref(), named, "{method}");
        }
    }
}
