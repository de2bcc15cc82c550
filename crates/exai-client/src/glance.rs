//! A glance at a message: its id and method, and not a byte more than that needs. The daemon checks
//! messages whole; the shim only keeps book.

use std::ops::Range;

use exai_proto::json;

/// What a glance tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Glance {
    /// A request: the JSON text of its id, and its method between the quotes.
    Request { id: Range<usize>, method: Range<usize> },
    /// A notification, with its method.
    Notification { method: Range<usize> },
    /// An answer, with the JSON text of its id.
    Response { id: Range<usize> },
}

/// Looks at one message; `None` when it is none.
pub(crate) fn at(text: &[u8], start: usize) -> Option<Glance> {
    let (mut id, mut method) = (None, None);
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
        at = json::skip_space(text, key_end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = json::skip_space(text, at + 1);
        // An answer is known by its outcome, which need not be read when the id came first.
        if let (Some(id), b"result" | b"error") = (&id, key) {
            return Some(Glance::Response { id: Range::clone(id) });
        }
        let end = json::skip_value(text, at).ok()?;
        match key {
            b"id" => id = Some(at..end),
            b"method" if end - at >= 2 => method = Some(at + 1..end - 1),
            _ => {}
        }
        if let (Some(id), Some(method)) = (&id, &method) {
            return Some(Glance::Request { id: id.clone(), method: method.clone() });
        }
        at = json::skip_space(text, end);
        if text.get(at) == Some(&b',') {
            at = json::skip_space(text, at + 1);
        }
    }
    match (id, method) {
        (None, Some(method)) => Some(Glance::Notification { method }),
        (Some(id), None) => Some(Glance::Response { id }),
        (None, None) | (Some(_), Some(_)) => None,
    }
}

/// Looks at a line: one message, or each message of a batch.
pub(crate) fn each(line: &[u8], mut see: impl FnMut(Glance)) {
    let start = json::skip_space(line, 0);
    if line.get(start) != Some(&b'[') {
        at(line, start).into_iter().for_each(see);
        return;
    }
    // The places of the elements mean something only in a text that is JSON.
    if let Ok(end) = json::skip_value(line, start) {
        for part in json::elements(line, start..end) {
            if let Some(glance) = at(line, part.start) {
                see(glance);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        each(line.as_bytes(), |glance| {
            found.push(match glance {
                Glance::Request { id, method } => format!("{} {}", &line[id], &line[method]),
                Glance::Notification { method } => line[method].to_owned(),
                Glance::Response { id } => format!("= {}", &line[id]),
            });
        });
        found
    }

    #[test]
    fn every_shape_in_every_order() {
        let cases: [(&str, &[&str]); 12] = [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, &["1 ping"]),
            (r#"{"method":"tools/call","params":{"id":3},"jsonrpc":"2.0","id":"a"}"#, &["\"a\" tools/call"]),
            (r#" { "method" : "notifications/x" , "params" : {} } "#, &["notifications/x"]),
            (r#"{"jsonrpc":"2.0","id":5,"result":{"id":6}}"#, &["= 5"]),
            (r#"{"result":{"id":6},"jsonrpc":"2.0","id":5}"#, &["= 5"]),
            (r#"{"error":{"code":1},"id":null}"#, &["= null"]),
            (r#"[{"id":1,"method":"a"},{"method":"b"},7,{"id":2,"result":{}}]"#, &["1 a", "b", "= 2"]),
            (r#"{"id":1,"result":{"never":"#, &["= 1"]),
            ("hello", &[]),
            ("{", &[]),
            (r#"{"a":1 "b":2}"#, &[]),
            (r#"{"id""#, &[]),
        ];
        for (line, expected) in cases {
            assert_eq!(seen(line), expected, "{line}");
        }
    }
}
