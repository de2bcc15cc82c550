//! One JSON-RPC message, kept as the bytes it came in, with the places of the members that matter.
//!
//! A message is checked whole before anybody else sees it: valid UTF-8, valid JSON, bounded depth, one
//! object, no envelope key twice. Keys that differ from an envelope key only in case, or spell one with
//! escapes, are refused: another parser could read them as that key, and then the router and the server
//! would disagree about what was said (CVE-2026-27896).

use std::ops::Range;

use bytes::Bytes;

use crate::json::{self, JsonError};
use crate::limits;

/// The JSON text of a request id or a progress token: a string, an integer, or (ids only) null. Two ids are
/// the same if their texts are: `1` is not `"1"`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Box<[u8]>);

impl Id {
    /// An id of our own making.
    pub fn number(number: u64) -> Self {
        Id(number.to_string().into_bytes().into())
    }

    /// The id's JSON text.
    pub fn as_json(&self) -> &[u8] {
        &self.0
    }

    /// Takes an id's JSON text as it is. The text must have been checked.
    pub fn from_json(text: &[u8]) -> Self {
        Id(text.into())
    }

    /// The id of an answer to a message whose own id could not be read.
    pub fn null() -> Self {
        Id(Box::from(&b"null"[..]))
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// What a message is, with the places of its members in [`Message::bytes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Asks for an answer.
    Request {
        /// The id's JSON text.
        id: Range<usize>,
        /// The method's name, between its quotes.
        method: Range<usize>,
        /// The parameters, if any.
        params: Option<Range<usize>>,
    },
    /// Tells something.
    Notification {
        /// The method's name, between its quotes.
        method: Range<usize>,
        /// The parameters, if any.
        params: Option<Range<usize>>,
    },
    /// Answers a request.
    Response {
        /// The id's JSON text.
        id: Range<usize>,
        /// The result or the error object.
        outcome: Outcome,
    },
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The place of the result.
    Result(Range<usize>),
    /// The place of the error object.
    Error(Range<usize>),
}

/// A checked message. Its bytes hold no line break, so that it fits on one line of stdio.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    kind: Kind,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
    /// Not JSON, or too deep.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but not a JSON-RPC 2.0 message. The id is there if it could be read.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
        /// The message's id, if it has a proper one.
        id: Option<Id>,
    },
    /// A JSON-RPC batch; see [`split_batch`].
    #[error("JSON-RPC batches exist only in protocol 2025-03-26")]
    Batch,
}

impl ParseError {
    /// The JSON-RPC error code: -32700 for what is no JSON, -32600 for what is no message.
    pub fn code(&self) -> i32 {
        match self {
            ParseError::Utf8 | ParseError::Json(JsonError::Syntax(_) | JsonError::Incomplete) => -32700,
            ParseError::Json(JsonError::TooDeep) | ParseError::Invalid { .. } | ParseError::Batch => -32600,
        }
    }

    /// The id to answer with.
    pub fn id(&self) -> Id {
        match self {
            ParseError::Invalid { id: Some(id), .. } => id.clone(),
            ParseError::Invalid { id: None, .. }
            | ParseError::Utf8
            | ParseError::Json(_)
            | ParseError::Batch => Id::null(),
        }
    }
}

#[derive(Default)]
struct Fields {
    version: Option<Range<usize>>,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
}

impl Fields {
    fn slot(&mut self, key: &[u8]) -> Option<&mut Option<Range<usize>>> {
        match key {
            b"jsonrpc" => Some(&mut self.version),
            b"id" => Some(&mut self.id),
            b"method" => Some(&mut self.method),
            b"params" => Some(&mut self.params),
            b"result" => Some(&mut self.result),
            b"error" => Some(&mut self.error),
            _ => None,
        }
    }
}

/// Whether a lenient parser might take `key` for an envelope key.
fn resembles_envelope_key(key: &[u8]) -> bool {
    let known = ["jsonrpc", "id", "method", "params", "result", "error"];
    key.contains(&b'\\') || known.into_iter().any(|known| json::resembles(key, known))
}

impl Message {
    /// Checks one message. White space around it is dropped; line breaks inside it become spaces.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        if std::str::from_utf8(&bytes).is_err() {
            return Err(ParseError::Utf8);
        }
        let start = json::skip_space(&bytes, 0);
        if bytes.get(start) == Some(&b'[') {
            return Err(ParseError::Batch);
        }
        if bytes.get(start) != Some(&b'{') {
            // Say what is wrong with it as JSON, if anything is.
            let end = json::skip_value(&bytes, start)?;
            return Err(if json::skip_space(&bytes, end) == bytes.len() {
                ParseError::Invalid { reason: "a message must be a JSON object", id: None }
            } else {
                JsonError::Syntax(end).into()
            });
        }
        let mut fields = Fields::default();
        let mut ambiguous = false;
        let mut members = json::Members::new(&bytes, start)?;
        while let Some(member) = members.next_member()? {
            let key = &bytes[member.key];
            if let Some(slot) = fields.slot(key) {
                ambiguous |= slot.replace(member.value).is_some();
            } else {
                ambiguous |= resembles_envelope_key(key);
            }
        }
        let end = members.end();
        if json::skip_space(&bytes, end) != bytes.len() {
            return Err(JsonError::Syntax(end).into());
        }
        let kind = classify(&bytes, &fields, ambiguous)?;
        Ok(Message { bytes: single_line(bytes, end), kind })
    }

    /// The message as it came in.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the message is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The text at a place in the message.
    pub fn at(&self, place: &Range<usize>) -> &[u8] {
        &self.bytes[place.clone()]
    }

    /// The text at a place, as UTF-8 (the whole message was checked to be that).
    pub fn str_at(&self, place: &Range<usize>) -> &str {
        std::str::from_utf8(self.at(place)).unwrap_or_default()
    }

    /// The message with some places replaced; copied once.
    pub fn edited(&self, edits: Vec<json::Edit>) -> Bytes {
        json::splice(&self.bytes, edits).into()
    }
}

/// Line breaks outside strings are white space (inside strings they are not JSON), so a space says the same.
fn single_line(bytes: Bytes, end: usize) -> Bytes {
    let bytes = bytes.slice(..end);
    if memchr::memchr2(b'\n', b'\r', &bytes).is_none() {
        return bytes;
    }
    let spaced = bytes.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
    spaced.collect()
}

fn classify(bytes: &[u8], fields: &Fields, ambiguous: bool) -> Result<Kind, ParseError> {
    let id = fields.id.clone();
    let proper = id.clone().filter(|id| is_id(&bytes[id.clone()]));
    let invalid = |reason| {
        let id = proper.clone().map(|id| Id::from_json(&bytes[id]));
        ParseError::Invalid { reason, id }
    };
    if ambiguous {
        return Err(invalid("an envelope key is there twice, or in two spellings"));
    }
    if fields.version.as_ref().is_none_or(|version| &bytes[version.clone()] != b"\"2.0\"") {
        return Err(invalid("\"jsonrpc\" must be \"2.0\""));
    }
    if id.is_some() && proper.is_none() {
        return Err(invalid("an id must be a string, an integer or null, of at most 1024 bytes"));
    }
    match (id, fields.method.clone(), &fields.result, &fields.error) {
        (id, Some(method), None, None) => {
            let quoted = &bytes[method.clone()];
            if quoted.first() != Some(&b'"') || quoted.contains(&b'\\') {
                return Err(invalid("a method must be a plain string"));
            }
            let method = method.start + 1..method.end - 1;
            let params = fields.params.clone();
            if params.as_ref().is_some_and(|params| !matches!(bytes[params.start], b'{' | b'[' | b'n')) {
                return Err(invalid("params must be an object"));
            }
            Ok(match id {
                Some(id) => Kind::Request { id, method, params },
                None => Kind::Notification { method, params },
            })
        }
        (Some(id), None, Some(result), None) => {
            Ok(Kind::Response { id, outcome: Outcome::Result(result.clone()) })
        }
        (Some(id), None, None, Some(error)) => {
            Ok(Kind::Response { id, outcome: Outcome::Error(error.clone()) })
        }
        _ => Err(invalid("neither a request, a notification nor a response")),
    }
}

/// Whether a JSON text is an id: a string, an integer or null, and short.
fn is_id(text: &[u8]) -> bool {
    let integer = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    text.len() <= limits::ID_BYTES
        && match text.first() {
            Some(b'"' | b'n') => true,
            Some(b'-') => integer(&text[1..]),
            _ => integer(text),
        }
}

/// The messages of a batch, unchecked, or why it is none.
pub fn split_batch(bytes: &Bytes) -> Result<Vec<Bytes>, ParseError> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(ParseError::Utf8);
    }
    let start = json::skip_space(bytes, 0);
    let end = json::skip_value(bytes, start)?;
    if json::skip_space(bytes, end) != bytes.len() {
        return Err(JsonError::Syntax(end).into());
    }
    let parts: Vec<_> = json::elements(bytes, start..end).take(limits::BATCH + 1).collect();
    if parts.is_empty() || parts.len() > limits::BATCH {
        let reason = "a batch must hold 1 to 256 messages";
        return Err(ParseError::Invalid { reason, id: None });
    }
    Ok(parts.into_iter().map(|part| bytes.slice(part)).collect())
}

/// The id of a message that is too long to be kept, if it stands in the bytes seen so far. Used to answer
/// -31007 to exactly the caller; a guess is never made: the id must be a complete member of the envelope.
pub fn peek_id(start: &[u8]) -> Option<Id> {
    let at = json::skip_space(start, 0);
    let mut members = json::Members::new(start, at).ok()?;
    while let Ok(Some(member)) = members.next_member() {
        if &start[member.key] == b"id" {
            let text = &start[member.value];
            return is_id(text).then(|| Id::from_json(text));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, ParseError> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn shape(text: &str) -> String {
        match parse(text) {
            Ok(message) => match message.kind() {
                Kind::Request { id, method, .. } => {
                    format!("request {} {}", message.str_at(id), message.str_at(method))
                }
                Kind::Notification { method, .. } => format!("notification {}", message.str_at(method)),
                Kind::Response { id, outcome: Outcome::Result(_) } => {
                    format!("result {}", message.str_at(id))
                }
                Kind::Response { id, outcome: Outcome::Error(_) } => format!("error {}", message.str_at(id)),
            },
            Err(error) => format!("{} id {:?}", error.code(), error.id()),
        }
    }

    #[test]
    fn every_shape_is_told_apart() {
        let cases = [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
            (r#" {"method":"x","params":{},"id":"a","jsonrpc":"2.0"} "#, "request \"a\" x"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "request null ping"),
            (r#"{"jsonrpc":"2.0","id":-7,"method":"ping","x-vendor":{"id":3}}"#, "request -7 ping"),
            (r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "notification notifications/x"),
            (r#"{"jsonrpc":"2.0","id":5,"result":{}}"#, "result 5"),
            (r#"{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":""}}"#, "error 5"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "-32600 id null"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "-32600 id null"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "-32600 id 1"),
            (r#"{"id":1,"method":"ping"}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":3}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":"no"}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","m\u0065thod":"b"}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","paramſ":{}}"#, "-32600 id 1"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "-32600 id 1"),
            ("[]", "-32600 id null"),
            ("7", "-32600 id null"),
            ("hello", "-32700 id null"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, "-32700 id null"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping""#, "-32700 id null"),
        ];
        for (text, expected) in cases {
            assert_eq!(shape(text), expected, "{text}");
        }
        assert_eq!(Message::parse(Bytes::from_static(b"{\"a\":\"\xff\"}")).unwrap_err(), ParseError::Utf8);
    }

    #[test]
    fn a_message_over_several_lines_becomes_one_and_says_the_same() {
        let text = "{\r\n  \"jsonrpc\": \"2.0\",\n  \"id\": 1, \"method\": \"x\",\n \"params\": {\"t\": \"a\\nb\"}\n}\n";
        let message = parse(text).unwrap();
        assert!(!message.bytes().contains(&b'\n') && !message.bytes().contains(&b'\r'));
        let same: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(message.bytes()).unwrap(), same);
    }

    #[test]
    fn a_batch_is_split_and_an_id_is_found_at_the_start_of_what_is_too_long() {
        let batch = Bytes::from_static(br#" [{"a":1}, {"b":[2]}] "#);
        assert_eq!(split_batch(&batch).unwrap(), [&br#"{"a":1}"#[..], br#"{"b":[2]}"#]);
        assert!(split_batch(&Bytes::from_static(b"[]")).is_err());
        assert!(split_batch(&Bytes::from(format!("[1{}]", ",1".repeat(limits::BATCH)))).is_err());
        let start = br#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"arguments":{"x":"aaaa"#;
        assert_eq!(peek_id(start), Some(Id::number(42)));
        assert_eq!(peek_id(br#"{"jsonrpc":"2.0","params":{"id":42,"x":"aaaa"#), None);
    }
}
