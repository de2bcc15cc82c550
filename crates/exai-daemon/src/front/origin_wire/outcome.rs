//! What a tool has answered, as a client of the origin's wire reads it.
//!
//! Texts go from one message into the other as they are written there, so that no text is decoded.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use exai_proto::answer::Failure;
use exai_proto::{json, limits};

use crate::front::origin_wire::reply::{self, Caption};

/// Characters of the message of an error. Clients of the origin show it and no output.
const MAX_ERROR_CHARS: usize = 16 * 1024;
/// What the EXAI tools say of themselves in `status` that was an error code of the origin.
const STATUSES: [&str; 4] = ["code_too_large", "error", "execution_error", "resend_prompt"];
/// The code of JSON-RPC for wrong parameters, with which a tool that there is not is answered.
const INVALID_PARAMS: i64 = -32602;

/// The result of a call: an object of MCP at `result` in `text`.
pub(super) fn result(call: &Caption, text: &[u8], result: Range<usize>) -> Bytes {
    let too_long = || reply::failed(call, "EXEC_ERROR", "the answer is longer than 32 MiB", "");
    let Some(Outputs { outputs, joined }) = Outputs::read(text, &result) else { return too_long() };
    let start = format!("{{\"op\":\"call_tool_res\",\"request_id\":{},\"outputs\":[", call.request_id());
    let failed = json::find(text, result, "isError").is_some_and(|place| &text[place] == b"true");
    let error = if failed { error_of_tool(&joined) } else { String::new() };
    let mut frame = [start.as_bytes(), &outputs, b"]", error.as_bytes()].concat();
    // The text is there for convenience. Where both do not fit into one message, the outputs must do.
    if frame.len() + joined.len() + 20 <= limits::MESSAGE_BYTES {
        for part in [b",\"text\":\"".as_slice(), &joined, b"\""] {
            frame.extend_from_slice(part);
        }
    }
    frame.push(b'}');
    if frame.len() > limits::MESSAGE_BYTES { too_long() } else { frame.into() }
}

/// The content of a result.
struct Outputs {
    /// The elements of the array of outputs.
    outputs: Vec<u8>,
    /// All texts as one JSON string, without its quotes, with an empty line between two.
    joined: Vec<u8>,
}

impl Outputs {
    /// Reads the content of a result; `None` if it is longer than a message may be.
    fn read(text: &[u8], result: &Range<usize>) -> Option<Self> {
        let mut read = Outputs { outputs: Vec::new(), joined: Vec::new() };
        let content = json::find(text, result.clone(), "content");
        for element in content.into_iter().flat_map(|content| json::elements(text, content)) {
            read.add(&written_text(text, element))?;
        }
        if read.outputs.is_empty() {
            let structured = json::find(text, result.clone(), "structuredContent");
            let written = structured.map_or(Cow::Borrowed(b"\"\"".as_slice()), |place| quoted(&text[place]));
            read.add(&written)?;
        }
        Some(read)
    }

    /// Adds one text, given as a JSON string.
    fn add(&mut self, written: &[u8]) -> Option<()> {
        if !self.outputs.is_empty() {
            self.outputs.push(b',');
        }
        for part in [b"{\"type\":\"text\",\"text\":".as_slice(), written, b"}"] {
            self.outputs.extend_from_slice(part);
        }
        let inner = &written[1..written.len() - 1];
        if !inner.is_empty() {
            if !self.joined.is_empty() {
                self.joined.extend_from_slice(br"\n\n");
            }
            self.joined.extend_from_slice(inner);
        }
        (self.outputs.len() <= limits::MESSAGE_BYTES).then_some(())
    }
}

/// The text of one element of the content as a JSON string. An element that is no text becomes its own JSON text.
fn written_text(text: &[u8], element: Range<usize>) -> Cow<'_, [u8]> {
    let kind = json::find(text, element.clone(), "type");
    let said = json::find(text, element.clone(), "text").filter(|place| text[place.start] == b'"');
    match (kind, said) {
        (Some(kind), Some(said)) if &text[kind.clone()] == b"\"text\"" => Cow::Borrowed(&text[said]),
        _ => quoted(&text[element]),
    }
}

fn quoted(text: &[u8]) -> Cow<'_, [u8]> {
    Cow::Owned(json::quote(&String::from_utf8_lossy(text)).into_bytes())
}

/// The member `error` for a tool that says that it has failed. `joined` is what the tool has said.
fn error_of_tool(joined: &[u8]) -> String {
    let written = [b"\"", joined, b"\""].concat();
    let said = json::string(&written, 0..written.len()).unwrap_or_default();
    let (code, message) = match status_of(&said) {
        Some((code, message)) => (code, message.map_or(Cow::Borrowed(&*said), Cow::Owned)),
        None => ("EXEC_ERROR".to_owned(), Cow::Borrowed(&*said)),
    };
    let message = if message.is_empty() { "the tool has failed and does not say why" } else { &message };
    let message = json::quote(&limits::cut(message, MAX_ERROR_CHARS));
    format!(",\"error\":{{\"code\":\"{code}\",\"message\":{message}}}")
}

/// The status that an EXAI tool gives itself, and its message.
fn status_of(said: &str) -> Option<(String, Option<String>)> {
    let text = said.trim().as_bytes();
    let whole = 0..json::check_value(text, 0).ok().filter(|end| *end == text.len())?;
    let member = |key| json::find(text, whole.clone(), key).and_then(|place| json::string(text, place));
    let status = member("status")?.to_ascii_lowercase();
    let message = ["content", "error"].into_iter().find_map(member).map(Cow::into_owned);
    STATUSES.contains(&&*status).then(|| (status.to_ascii_uppercase(), message))
}

/// A call that was answered with an error of JSON-RPC: an object at `error` in `text`.
pub(super) fn failure(call: &Caption, text: &[u8], error: Range<usize>) -> Bytes {
    let (code, message) = read_failure(text, error);
    match code {
        code if code == i64::from(Failure::Overloaded.code()) => reply::over_capacity(call, &message),
        code if code == i64::from(Failure::TimedOut.code()) => reply::failed(call, "TIMEOUT", &message, ""),
        INVALID_PARAMS if message.starts_with("Unknown tool") => {
            let message = format!("Unknown tool: {} (list_tools names all tools)", call.name);
            reply::failed(call, "TOOL_NOT_FOUND", &message, "")
        }
        _ => reply::failed(call, "EXEC_ERROR", &message, ""),
    }
}

/// The code and the message of an error of JSON-RPC, with the command that helps if exai names one.
pub(super) fn read_failure(text: &[u8], error: Range<usize>) -> (i64, String) {
    let string = |path: &[&str]| {
        json::find_path(text, error.clone(), path).and_then(|place| json::string(text, place))
    };
    let code = json::find(text, error.clone(), "code")
        .and_then(|place| std::str::from_utf8(&text[place]).ok().and_then(|code| code.parse().ok()));
    let message = string(&["message"]).unwrap_or_default();
    let message = match string(&["data", "hint"]) {
        Some(hint) => format!("{message}; `{hint}` may help"),
        None => message.into_owned(),
    };
    (code.unwrap_or_default(), limits::cut(&message, MAX_ERROR_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn call() -> Caption {
        Caption { name: "fix__echo".to_owned(), request_id: Some(br#""r""#.as_slice().into()) }
    }

    fn frame(bytes: &Bytes) -> Value {
        let frame: Value = serde_json::from_slice(bytes).expect("JSON");
        assert_eq!((&frame["op"], &frame["request_id"]), (&json!("call_tool_res"), &json!("r")), "{frame}");
        frame
    }

    fn of_result(text: &str) -> Value {
        frame(&result(&call(), text.as_bytes(), 0..text.len()))
    }

    #[test]
    fn texts_stay_as_they_are_and_other_content_becomes_text() {
        let image = r#"{"type":"image","data":"QQ==","mimeType":"image/png"}"#;
        let cases = [
            (r#"{"content":[{"type":"text","text":"a\n\"b\""}]}"#.to_owned(), vec!["a\n\"b\""], "a\n\"b\""),
            (
                format!(
                    r#"{{"content":[{{"text":"","type":"text"}},{image},{{"type":"text","text":"z"}}]}}"#
                ),
                vec!["", image, "z"],
                &*format!("{image}\n\nz"),
            ),
            (
                r#"{"content":[{"type":"text","text":7},1]}"#.to_owned(),
                vec![r#"{"type":"text","text":7}"#, "1"],
                "{\"type\":\"text\",\"text\":7}\n\n1",
            ),
            (r#"{"content":[],"structuredContent":{"a":1}}"#.to_owned(), vec![r#"{"a":1}"#], r#"{"a":1}"#),
            (r#"{"structuredContent":{"a":1}}"#.to_owned(), vec![r#"{"a":1}"#], r#"{"a":1}"#),
            (r#"{"content":"x"}"#.to_owned(), vec![""], ""),
            ("{}".to_owned(), vec![""], ""),
        ];
        for (text, outputs, joined) in cases {
            let frame = of_result(&text);
            let expected: Vec<Value> =
                outputs.iter().map(|text| json!({"type": "text", "text": text})).collect();
            assert_eq!(frame["outputs"], json!(expected), "{text}");
            assert_eq!(frame["text"], json!(joined), "{text}");
            assert_eq!(frame.get("error"), None, "{text}");
        }
    }

    #[test]
    fn a_tool_that_has_failed_is_an_error_with_what_it_said() {
        let said = |text: &str| {
            let content = json!({"content": [{"type": "text", "text": text}], "isError": true}).to_string();
            of_result(&content)["error"].clone()
        };
        let why = "the tool has failed and does not say why";
        for (text, code, message) in [
            ("no such file", "EXEC_ERROR", "no such file"),
            ("", "EXEC_ERROR", why),
            (r#"{"status":"resend_prompt","content":"too long"}"#, "RESEND_PROMPT", "too long"),
            (r#"{"status":"Error","error":"x"}"#, "ERROR", "x"),
            (r#"{"status":"execution_error"}"#, "EXECUTION_ERROR", r#"{"status":"execution_error"}"#),
            (r#"{"status":"success","content":"x"}"#, "EXEC_ERROR", r#"{"status":"success","content":"x"}"#),
        ] {
            assert_eq!(said(text), json!({"code": code, "message": message}), "{text}");
        }
        let fine = r#"{"content":[{"type":"text","text":"{\"status\":\"error\"}"}],"isError":false}"#;
        assert_eq!(of_result(fine).get("error"), None, "the tool of another server may say that");
        let long = said(&"x".repeat(100_000));
        assert_eq!(long["message"].as_str().map(|text| text.chars().count()), Some(MAX_ERROR_CHARS));
    }

    #[test]
    fn an_answer_that_fits_into_no_message_is_an_error_and_without_the_text_more_fits() {
        let of_text = |length: usize| {
            let text = format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(length));
            of_result(&text)
        };
        let half = of_text(limits::MESSAGE_BYTES / 2 - 200);
        assert!(half["text"].is_string() && half["outputs"].is_array());
        let whole = of_text(limits::MESSAGE_BYTES - 200);
        assert!(whole.get("text").is_none() && whole.get("error").is_none() && whole["outputs"].is_array());
        let too_long = of_text(limits::MESSAGE_BYTES);
        assert_eq!(too_long["error"]["code"], "EXEC_ERROR");
        // Each element becomes many times as long.
        let many = format!(r#"{{"content":[{}1]}}"#, "1,".repeat(4 << 20));
        assert_eq!(of_result(&many)["error"]["message"], "the answer is longer than 32 MiB");
    }

    #[test]
    fn errors_of_json_rpc_have_the_codes_of_the_origin() {
        let cases = [
            (
                json!({"code": -31003, "message": "no"}),
                json!({"code": "OVER_CAPACITY", "message": "no", "retry_after": 1}),
            ),
            (json!({"code": -31004, "message": "late"}), json!({"code": "TIMEOUT", "message": "late"})),
            (
                json!({"code": -32602, "message": "Unknown tool or prompt: x"}),
                json!({"code": "TOOL_NOT_FOUND", "message": "Unknown tool: fix__echo (list_tools names all tools)"}),
            ),
            (json!({"code": -32602, "message": "wrong"}), json!({"code": "EXEC_ERROR", "message": "wrong"})),
            (
                json!({"code": -31006, "message": "it is gone", "data": {"hint": "exai logs fix"}}),
                json!({"code": "EXEC_ERROR", "message": "it is gone; `exai logs fix` may help"}),
            ),
            (json!({"code": "x"}), json!({"code": "EXEC_ERROR", "message": ""})),
        ];
        for (error, expected) in cases {
            let text = error.to_string();
            assert_eq!(frame(&failure(&call(), text.as_bytes(), 0..text.len()))["error"], expected, "{text}");
        }
    }
}
