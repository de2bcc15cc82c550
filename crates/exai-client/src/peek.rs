//! Reads the id and the method of a message, and not a byte more than that takes. The daemon checks whole messages;
//! the shim only tracks requests.

use std::borrow::Cow;
use std::ops::Range;

use exai_proto::json;

/// What kind of message it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peeked {
    /// A request: the JSON text of its id, and its method between the quotes.
    Request { id: Range<usize>, method: Range<usize> },
    /// A notification, with its method.
    Notification { method: Range<usize> },
    /// An answer: the JSON text of its id, and whether it is a result and no error.
    Response { id: Range<usize>, good: bool },
}

/// Looks at the message that begins at `start`; `None` when there is none.
pub(crate) fn peek_at(text: &[u8], start: usize) -> Option<Peeked> {
    let (mut id, mut method, mut outcome) = (None, None, None);
    let mut at = json::skip_space(text, start);
    if text.get(at) != Some(&b'{') {
        return None;
    }
    at = json::skip_space(text, at + 1);
    while text.get(at) != Some(&b'}') {
        if text.get(at) != Some(&b'"') {
            return None;
        }
        let key_end = json::skip_value(text, at).ok()?;
        let key = &text[at + 1..key_end - 1];
        let is = |known| json::is_key(key, known);
        at = json::skip_space(text, key_end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = json::skip_space(text, at + 1);
        // A `null` outcome counts as absent.
        let said = (is("result") || is("error")) && !text[at..].starts_with(b"null");
        // The outcome shows that this is an answer. It need not be read when the id came first.
        if let (Some(id), true) = (&id, said) {
            return Some(Peeked::Response { id: Range::clone(id), good: is("result") });
        }
        let end = json::skip_value(text, at).ok()?;
        if is("id") {
            id = Some(at..end);
        } else if is("method") && end - at >= 2 && text[at] == b'"' {
            method = Some(at + 1..end - 1);
        } else if said {
            outcome = Some(is("result") || outcome == Some(true));
        }
        if let (Some(id), Some(method)) = (&id, &method) {
            return Some(Peeked::Request { id: id.clone(), method: method.clone() });
        }
        at = json::skip_space(text, end);
        if text.get(at) == Some(&b',') {
            at = json::skip_space(text, at + 1);
        }
    }
    match (id, method, outcome) {
        (None, Some(method), _) => Some(Peeked::Notification { method }),
        (Some(id), None, Some(good)) => Some(Peeked::Response { id, good }),
        _ => None,
    }
}

/// The name of the method at this place between its quotes.
pub(crate) fn method_name(text: &[u8], method: Range<usize>) -> Cow<'_, [u8]> {
    let written = &text[method];
    match json::unescaped(written) {
        Some(Cow::Owned(name)) => Cow::Owned(name.into_bytes()),
        Some(Cow::Borrowed(_)) | None => Cow::Borrowed(written),
    }
}

/// Looks at each message of a line: the one message, or every message of a batch. `see` gets the place of the whole
/// message as well.
pub(crate) fn peek_each(line: &[u8], mut see: impl FnMut(Range<usize>, Peeked)) {
    let start = json::skip_space(line, 0);
    if line.get(start) != Some(&b'[') {
        if let Some(peeked) = peek_at(line, start) {
            see(start..line.len(), peeked);
        }
        return;
    }
    // The places of the elements mean something only in a text that is JSON.
    if let Ok(end) = json::skip_value(line, start) {
        for part in json::elements(line, start..end) {
            if let Some(peeked) = peek_at(line, part.start) {
                see(part, peeked);
            }
        }
    }
}

/// The place of the value that a path of keys leads to, from the object at `start`. Only the text before the value is
/// read: the name of a tool is found without reading the arguments that follow.
pub(crate) fn find_path(text: &[u8], start: usize, path: &[&str]) -> Option<Range<usize>> {
    let object = json::skip_space(text, start);
    let value = path.iter().try_fold(object, |object, key| member(text, object, key))?;
    json::skip_value(text, value).ok().map(|end| value..end)
}

/// Where the value of `wanted` begins.
fn member(text: &[u8], object: usize, wanted: &str) -> Option<usize> {
    if text.get(object) != Some(&b'{') {
        return None;
    }
    let mut at = json::skip_space(text, object + 1);
    while text.get(at) == Some(&b'"') {
        let key_end = json::skip_value(text, at).ok()?;
        let found = json::is_key(&text[at + 1..key_end - 1], wanted);
        at = json::skip_space(text, key_end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = json::skip_space(text, at + 1);
        if found {
            return Some(at);
        }
        at = json::skip_space(text, json::skip_value(text, at).ok()?);
        if text.get(at) != Some(&b',') {
            return None;
        }
        at = json::skip_space(text, at + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        peek_each(line.as_bytes(), |_, peeked| {
            let name = |method| String::from_utf8_lossy(&method_name(line.as_bytes(), method)).into_owned();
            found.push(match peeked {
                Peeked::Request { id, method } => format!("{} {}", &line[id], name(method)),
                Peeked::Notification { method } => name(method),
                Peeked::Response { id, good } => format!("{} {}", if good { "=" } else { "!" }, &line[id]),
            });
        });
        found
    }

    #[test]
    fn every_shape_in_every_order() {
        let cases: [(&str, &[&str]); 18] = [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, &["1 ping"]),
            (r#"{"method":"tools/call","params":{"id":3},"jsonrpc":"2.0","id":"a"}"#, &["\"a\" tools/call"]),
            (r#" { "method" : "notifications/x" , "params" : {} } "#, &["notifications/x"]),
            (r#"{"jsonrpc":"2.0","id":5,"result":{"id":6}}"#, &["= 5"]),
            (r#"{"result":{"id":6},"jsonrpc":"2.0","id":5}"#, &["= 5"]),
            (r#"{"error":{"code":1},"id":null}"#, &["! null"]),
            (r#"{"id":5,"error":{"code":1}}"#, &["! 5"]),
            (r#"{"id":5,"error":null,"m\u0065thod":"tools\/call"}"#, &["5 tools/call"]),
            (r#"{"id":5,"result":null,"error":{"code":1}}"#, &["! 5"]),
            (r#"{"\u0069d":5,"error":null,"r\u0065sult":{}}"#, &["= 5"]),
            (r#"{"result":{"x":NaN},"id":5}"#, &["= 5"]),
            (r#"[{"id":1,"method":"a"},{"method":"b"},7,{"id":2,"result":{}}]"#, &["1 a", "b", "= 2"]),
            (r#"{"id":1,"result":{"never":"#, &["= 1"]),
            (r#"{"jsonrpc":"2.0","id":8}"#, &[]),
            ("hello", &[]),
            ("{", &[]),
            (r#"{"a":1 "b":2}"#, &[]),
            (r#"{"id""#, &[]),
        ];
        for (line, expected) in cases {
            assert_eq!(seen(line), expected, "{line}");
        }
    }

    #[test]
    fn a_path_leads_to_a_value_or_nowhere() {
        let cases: [(&str, &[&str], Option<&str>); 8] = [
            (r#"{"params":{"name":"x","arguments":{"#, &["params", "name"], Some(r#""x""#)),
            (r#" {"a":1, "params" : {"arguments":{"name":2},"name":3}}"#, &["params", "name"], Some("3")),
            (
                r#"{"params":{"_meta":{"progressToken":"t"}}}"#,
                &["params", "_meta", "progressToken"],
                Some(r#""t""#),
            ),
            (r#"{"params":[{"name":1}]}"#, &["params", "name"], None),
            (r#"{"params":{}}"#, &["params", "name"], None),
            (r#"{"params":{"name""#, &["params", "name"], None),
            (r#"{"params" {"name":1}}"#, &["params", "name"], None),
            ("7", &["params"], None),
        ];
        for (text, path, expected) in cases {
            let found = find_path(text.as_bytes(), 0, path).map(|at| &text[at]);
            assert_eq!(found, expected, "{text}");
        }
    }
}
