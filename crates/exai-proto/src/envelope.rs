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

pub use crate::batch::split_batch;
use crate::envelope_key::{ENVELOPE, envelope_key};
pub use crate::id::Id;
use crate::id::{integer, is_id};
use crate::json::{self, JsonError};
use crate::limits;
use crate::params::Params;
pub use crate::parse_error::ParseError;
pub use crate::peek::{Peek, peek_id};
use crate::segments::Segments;

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
    /// Set after the first look for them. `None`: they are ambiguous.
    params: OnceLock<Option<Box<Params>>>,
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

impl Message {
    /// Checks one message. White space around it is dropped; line breaks inside it become spaces. An envelope that is
    /// written in an unusual way and that all parsers read alike (escapes in keys or in the method, one outcome that
    /// is null beside the other) is written anew; everything else passes as it came.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        Self::read(bytes, true)
    }

    /// The same for a message of a server: accepts what an official SDK accepts. The Python SDK reads `NaN` and
    /// `Infinity`; the TypeScript SDK puts U+FFFD in place of bytes that are no UTF-8.
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

    /// The members of its parameters that routing looks at; there are none in an answer. `None` if another parser
    /// could find other values than these: then the receiver would not read what the router checks and changes. In a
    /// long message the first call takes long; later calls do not.
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
    // The Python SDK reads an answer with both as an error; the TypeScript SDK accepts an error without an id.
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

/// Whether this is an error that the SDKs accept. The Python SDK turns texts into numbers.
fn is_error(bytes: &[u8], error: &Range<usize>) -> bool {
    let member = |key| json::find(bytes, error.clone(), key).map(|at| &bytes[at]);
    let is_code = |code: &[u8]| Id::from_json(code).as_number().is_some() || integer(code).is_some();
    member("code").is_some_and(is_code) && member("message").is_some_and(|text| text.starts_with(b"\""))
}

#[cfg(test)]
mod tests;
