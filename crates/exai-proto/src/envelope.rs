//! One JSON-RPC message, kept as the bytes it came in, with the places of the members that matter.
//!
//! A message is checked whole before anybody else sees it: valid UTF-8, valid JSON, bounded depth, one
//! object, no envelope key twice. Keys that differ from an envelope key only in case are refused: another parser
//! could read them as that key, and then the router and the server would disagree about what was said
//! (CVE-2026-27896). Escapes mean the same to every parser, so they are read.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::json::{self, JsonError};
use crate::limits;
use crate::params::Params;
use crate::segments::Segments;

/// The JSON text of a request id or a progress token: a string, an integer, or (ids only) null. Two ids are
/// the same if their values are: `7.0` is `7`, `"a\/b"` is `"a/b"`, and `1` is not `"1"`.
#[derive(Clone)]
pub struct Id {
    text: Box<[u8]>,
    /// The usual way to write it, where this is another.
    usual: Option<Box<[u8]>>,
}

impl Id {
    /// An id of our own making.
    pub fn number(number: u64) -> Self {
        Id { text: number.to_string().into_bytes().into(), usual: None }
    }

    /// The id's JSON text.
    pub fn as_json(&self) -> &[u8] {
        &self.text
    }

    /// Takes an id's JSON text as it is. The text must have been checked.
    pub fn from_json(text: &[u8]) -> Self {
        Id { text: text.into(), usual: usual(text) }
    }

    /// The id of an answer to a message whose own id could not be read.
    pub fn null() -> Self {
        Id::from_json(b"null")
    }

    /// Whether it is that of an answer to a message whose own id could not be read.
    pub fn is_null(&self) -> bool {
        *self.text == *b"null"
    }

    /// The number that it says, be it as a string: some programs turn numbers into strings, or into floats.
    pub fn as_number(&self) -> Option<u64> {
        let text = self.value();
        let digits = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn value(&self) -> &[u8] {
        self.usual.as_deref().unwrap_or(&self.text)
    }
}

/// The usual way to write an id, where this is another one.
fn usual(text: &[u8]) -> Option<Box<[u8]>> {
    match text.first() {
        Some(b'"') if memchr::memchr(b'\\', text).is_some() => {
            let usual = json::quote(&json::string(text, 0..text.len())?).into_bytes();
            (usual != text).then(|| usual.into())
        }
        Some(b'-' | b'0'..=b'9') => {
            integer(text).filter(|usual| usual.as_bytes() != text).map(|usual| usual.as_bytes().into())
        }
        _ => None,
    }
}

/// The integer that a JSON number is, without fraction and exponent. What is written so is not copied: that is nearly
/// every id.
fn integer(text: &[u8]) -> Option<Cow<'_, str>> {
    /// Up to here each integer is a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let text = std::str::from_utf8(text).ok()?;
    if digits.iter().all(u8::is_ascii_digit) && !digits.is_empty() {
        return Some(Cow::Borrowed(if digits == b"0" { "0" } else { text }));
    }
    let value: f64 = text.parse().ok()?;
    (value.fract() == 0.0 && value.abs() <= EXACT).then(|| Cow::Owned(format!("{}", value as i64)))
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Eq for Id {}

impl std::hash::Hash for Id {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value().hash(state);
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value().cmp(other.value())
    }
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
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
    /// Once they were looked for. `None`: they are ambiguous.
    params: OnceLock<Option<Box<Params>>>,
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
    /// A key is there twice, or one that a lenient parser might take for another.
    ambiguous: bool,
    /// A key is spelled with escapes.
    escaped: bool,
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

    /// Notes a member: its key between the quotes, and the place of its value.
    fn note(&mut self, key: &[u8], value: Range<usize>) {
        if let Some(slot) = self.slot(key) {
            self.ambiguous |= slot.replace(value).is_some();
        } else if let Some(known) = envelope_key(key) {
            self.escaped = true;
            if let Some(slot) = self.slot(known.as_bytes()) {
                self.ambiguous |= slot.replace(value).is_some();
            }
        } else {
            self.ambiguous |= ENVELOPE.into_iter().any(|known| json::resembles(key, known));
        }
    }
}

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The envelope key that this one is, however it is spelled.
fn envelope_key(key: &[u8]) -> Option<&'static str> {
    ENVELOPE.into_iter().find(|known| json::is_key(key, known))
}

impl Message {
    /// Checks one message. White space around it is dropped; line breaks inside it become spaces. An envelope that is
    /// written in an unusual way and read alike by all (escapes in keys or in the method, an outcome that is null
    /// beside the other) is written anew; everything else passes as it came.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        Self::read(bytes, true)
    }

    /// The same for what a server says: what an official SDK accepts is accepted. Python's reads `NaN` and `Infinity`;
    /// TypeScript's puts U+FFFD where bytes are no UTF-8.
    pub fn of_server(bytes: Bytes) -> Result<Self, ParseError> {
        match Self::read(bytes.clone(), true) {
            Err(ParseError::Utf8) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if text.len() > limits::MESSAGE_BYTES {
                    Err(ParseError::Utf8)
                } else {
                    Self::of_server(text.into())
                }
            }
            Err(ParseError::Json(JsonError::Syntax(_))) => Self::read(bytes, false),
            read => read,
        }
    }

    fn read(bytes: Bytes, is_json: bool) -> Result<Self, ParseError> {
        if std::str::from_utf8(&bytes).is_err() {
            return Err(ParseError::Utf8);
        }
        let start = json::skip_space(&bytes, 0);
        if bytes.get(start) == Some(&b'[') {
            return Err(ParseError::Batch);
        }
        if bytes.get(start) != Some(&b'{') {
            // Say what is wrong with it as JSON, if anything is.
            let end = json::check_value(&bytes, start)?;
            return Err(if json::skip_space(&bytes, end) == bytes.len() {
                ParseError::Invalid { reason: "a message must be a JSON object", id: None }
            } else {
                JsonError::Syntax(end).into()
            });
        }
        let mut fields = Fields::default();
        let mut members = if is_json { json::Members::checked } else { json::Members::new }(&bytes, start)?;
        while let Some(member) = members.next_member()? {
            fields.note(&bytes[member.key], member.value);
        }
        let end = members.end();
        if json::skip_space(&bytes, end) != bytes.len() {
            return Err(JsonError::Syntax(end).into());
        }
        if !fields.ambiguous
            && let Some(plain) = plainly(&bytes, start, &fields)
        {
            return Self::read(plain.into(), is_json);
        }
        let kind = classify(&bytes, &fields)?;
        Ok(Message { bytes: single_line(bytes, end), kind, params: OnceLock::new() })
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

    /// The members of its parameters that routing looks at; there are none in an answer. `None` if another parser could
    /// find other values than these: then what the router checks and changes would not be what the receiver reads. In a
    /// long message the first look takes its time; later ones take none.
    pub fn params(&self) -> Option<&Params> {
        let find = || {
            let (Kind::Request { params, .. } | Kind::Notification { params, .. }) = &self.kind else {
                return Some(Box::default());
            };
            Params::find(&self.bytes, params.as_ref()).map(Box::new)
        };
        self.params.get_or_init(find).as_deref()
    }

    /// The text of the string at a place; `None` if there is no string.
    pub fn string_at(&self, place: Option<&Range<usize>>) -> Option<String> {
        json::string(&self.bytes, place?.clone()).map(Cow::into_owned)
    }

    /// The message with some places replaced.
    pub fn edited(&self, edits: Vec<json::Edit>) -> Segments {
        Segments::edited(&self.bytes, edits)
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

/// The message with an envelope as it is usually written; `None` if it is.
fn plainly(bytes: &[u8], start: usize, fields: &Fields) -> Option<Vec<u8>> {
    let is = |slot: &Option<Range<usize>>| slot.as_ref().is_some_and(|at| &bytes[at.clone()] != b"null");
    let escapes = |at: &Range<usize>| memchr::memchr(b'\\', &bytes[at.clone()]).is_some();
    let (asks, good, bad) = (is(&fields.method), is(&fields.result), is(&fields.error));
    let has_null = (fields.method.is_some() && !asks && (good || bad))
        || (fields.result.is_some() && !good && (asks || bad))
        || (fields.error.is_some() && !bad && (asks || good));
    // Python's SDK reads an answer with both as an error; TypeScript's knows an error that has no id.
    let (both, orphan) = (good && bad && !asks, bad && !asks && fields.id.is_none());
    let method = fields.method.as_ref().filter(|at| asks && escapes(at));
    let method = method.and_then(|at| json::string(bytes, at.clone()));
    if !fields.escaped && !has_null && !both && !orphan && method.is_none() {
        return None;
    }
    let mut plain = vec![b'{'];
    let mut members = json::Members::new(bytes, start).ok()?;
    while let Ok(Some(member)) = members.next_member() {
        let (key, mut value) = (&bytes[member.key], &bytes[member.value]);
        let known = envelope_key(key);
        let needless = match known {
            Some("method" | "error") => value == b"null",
            Some("result") => value == b"null" || both,
            _ => false,
        };
        if needless && (asks || good || bad) {
            continue;
        }
        let quoted = method.as_deref().filter(|_| known == Some("method")).map(json::quote);
        value = quoted.as_deref().map_or(value, str::as_bytes);
        let comma: &[u8] = if plain.len() > 1 { b",\"" } else { b"\"" };
        for part in [comma, known.map_or(key, str::as_bytes), b"\":", value] {
            plain.extend_from_slice(part);
        }
    }
    if orphan {
        plain.extend_from_slice(b",\"id\":null");
    }
    plain.push(b'}');
    Some(plain)
}

fn classify(bytes: &[u8], fields: &Fields) -> Result<Kind, ParseError> {
    let id = fields.id.clone();
    let proper = id.clone().filter(|id| is_id(&bytes[id.clone()]));
    let invalid = |reason| {
        let id = proper.clone().map(|id| Id::from_json(&bytes[id]));
        ParseError::Invalid { reason, id }
    };
    if fields.ambiguous {
        return Err(invalid("an envelope key is there twice, or in two spellings"));
    }
    let is_version = |at: &Range<usize>| {
        &bytes[at.clone()] == b"\"2.0\"" || json::string(bytes, at.clone()).is_some_and(|text| text == "2.0")
    };
    if !fields.version.as_ref().is_some_and(is_version) {
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
        (Some(id), None, Some(result), None) if bytes[result.start] == b'{' => {
            Ok(Kind::Response { id, outcome: Outcome::Result(result.clone()) })
        }
        (Some(_), None, Some(_), None) => Err(invalid("a result must be an object")),
        (Some(id), None, None, Some(error)) if is_error(bytes, error) => {
            Ok(Kind::Response { id, outcome: Outcome::Error(error.clone()) })
        }
        (Some(_), None, None, Some(_)) => {
            Err(invalid("an error must be an object with a code and a message"))
        }
        (None, None, Some(_), None) => Err(invalid("an answer must have an id")),
        _ => Err(invalid("neither a request, a notification nor a response")),
    }
}

/// Whether this is an error as SDKs take it; Python's makes numbers of texts.
fn is_error(bytes: &[u8], error: &Range<usize>) -> bool {
    let member = |key| json::find(bytes, error.clone(), key).map(|at| &bytes[at]);
    let is_code = |code: &[u8]| Id::from_json(code).as_number().is_some() || integer(code).is_some();
    member("code").is_some_and(is_code) && member("message").is_some_and(|text| text.starts_with(b"\""))
}

/// Whether a JSON text is an id: a string, an integer or null, and short.
fn is_id(text: &[u8]) -> bool {
    text.len() <= limits::ID_BYTES && (matches!(text.first(), Some(b'"' | b'n')) || integer(text).is_some())
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
        if json::is_key(&start[member.key], "id") {
            let text = &start[member.value];
            return is_id(text).then(|| Id::from_json(text));
        }
    }
    None
}

/// What can be told of an object that is no message, up to the place where it is no JSON any more.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Peek {
    /// Its id, if it has a proper one and no other.
    pub id: Option<Id>,
    /// It names a version of JSON-RPC.
    pub version: bool,
    /// It has a method.
    pub asks: bool,
    /// It has a result or an error.
    pub answers: bool,
    /// It has members that no envelope has.
    pub more: bool,
}

impl Peek {
    /// Looks at what may be an object.
    pub fn at(text: &[u8]) -> Self {
        let (mut seen, mut ids) = (Peek::default(), 0);
        let start = json::skip_space(text, 0);
        let Ok(mut members) = json::Members::new(text, start) else { return seen };
        let mut note = |key: Range<usize>, value: Option<Range<usize>>| match envelope_key(&text[key]) {
            Some("jsonrpc") => seen.version = true,
            Some("method") => seen.asks = true,
            Some("result" | "error") => seen.answers = true,
            Some("id") => {
                ids += 1;
                seen.id = value.map(|at| &text[at]).filter(|text| is_id(text)).map(Id::from_json);
            }
            Some(_) => {}
            None => seen.more = true,
        };
        loop {
            match members.next_member() {
                Ok(Some(member)) => note(member.key, Some(member.value)),
                Ok(None) => break,
                Err(_) => {
                    // The value is none, but it is known whose it would be.
                    members.next_key().into_iter().for_each(|key| note(key, None));
                    break;
                }
            }
        }
        seen.id = seen.id.filter(|_| ids == 1);
        seen
    }
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
            (r#"{"jsonrpc":"2.0","id":7.0,"result":{}}"#, "result 7.0"),
            (r#"{"jsonrpc":"\u0032.0","id":"\u0037","result":{}}"#, "result \"\\u0037\""),
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a":1.0},"error":null}"#, "result 7"),
            (r#"{"error":null,"jsonrpc":"2.0","id":7,"result":{}}"#, "result 7"),
            (r#"{"jsonrpc":"2.0","id":7,"result":null,"error":{"code":1,"message":""}}"#, "error 7"),
            (r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":-1.0,"message":""}}"#, "error 7"),
            (r#"{"jsonrpc":"2.0","id":7,"method":null,"result":{}}"#, "result 7"),
            (r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#, "error null"),
            (r#"{"jsonrpc":"2.0","id":7,"r\u0065sult":{}}"#, "result 7"),
            (r#"{"jsonrpc":"2.0","id":7,"method":"tools\/call","result":null}"#, "request 7 tools/call"),
            (r#"{"jsonrpc":"2.0","m\u0065thod":"\u0074ools\/list","x\"y":1}"#, "notification tools/list"),
            (r#"{"jsonrpc":"2.0","id":7,"method":"\ud800"}"#, "-32600 id 7"),
            (r#"{"jsonrpc":"2.0","id":7,"result":null}"#, "-32600 id 7"),
            (r#"{"jsonrpc":"2.0","id":7,"result":"x"}"#, "-32600 id 7"),
            (r#"{"jsonrpc":"2.0","id":7,"error":"x"}"#, "-32600 id 7"),
            (r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#, "-32600 id 7"),
            (r#"{"jsonrpc":"2.0","id":7,"method":"x","result":{}}"#, "-32600 id 7"),
            (r#"{"jsonrpc":"2.0","result":{}}"#, "-32600 id null"),
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a":NaN}}"#, "-32700 id null"),
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

    #[test]
    fn ids_are_compared_by_value_and_kept_as_they_came() {
        let same =
            [("7", "7.0"), ("7", "70e-1"), ("-0", "0"), (r#""a/b""#, r#""a\/b""#), (r#""\u0061""#, r#""a""#)];
        for (one, other) in same {
            let ids = [one, other].map(|text| Id::from_json(text.as_bytes()));
            assert_eq!(ids[0], ids[1]);
            assert_eq!(ids[1].as_json(), other.as_bytes());
        }
        for (one, other) in
            [("7", r#""7""#), ("7", "7.5"), ("1e400", "1e401"), (r#""\ud800""#, r#""\ud801""#)]
        {
            assert_ne!(Id::from_json(one.as_bytes()), Id::from_json(other.as_bytes()), "{one} {other}");
        }
        let number = |text: &str| Id::from_json(text.as_bytes()).as_number();
        assert_eq!(
            ["7", "7.0", r#""7""#, "7.5", "-7", "null"].map(number),
            [Some(7), Some(7), Some(7), None, None, None]
        );
    }

    #[test]
    fn what_a_server_says_is_read_as_sdks_read_it() {
        let odd = Bytes::from_static(
            b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":[NaN,-Infinity],\"b\":\"\xe9\"}}",
        );
        let message = Message::of_server(odd).unwrap();
        let expected = "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":[NaN,-Infinity],\"b\":\"\u{fffd}\"}}";
        assert_eq!(message.bytes(), expected.as_bytes());
        let both =
            Bytes::from_static(br#"{"jsonrpc":"2.0","result":{"a":1.0, "b":[]},"error":null, "id":7}"#);
        assert_eq!(
            Message::of_server(both).unwrap().bytes(),
            &br#"{"jsonrpc":"2.0","result":{"a":1.0, "b":[]},"id":7}"#[..]
        );
    }

    #[test]
    fn something_is_told_of_what_is_no_message() {
        let at = |text: &str| Peek::at(text.as_bytes());
        let bad = at("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":\"\u{1}\"}}");
        assert_eq!(bad, Peek { id: Some(Id::number(7)), version: true, answers: true, ..Peek::default() });
        let twice = at(r#"{"id":7,"id":8,"method":"x","level":"info"}"#);
        assert_eq!(twice, Peek { asks: true, more: true, ..Peek::default() });
        assert_eq!((at("hello"), at("{")), (Peek::default(), Peek::default()));
    }
}
