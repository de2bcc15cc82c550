//! Reads what a client of the origin's wire says.

use bytes::Bytes;
use exai_proto::json::{self, JsonError};
use exai_proto::{Message, limits};

use crate::front::origin_wire::names;

/// What a client asks for.
#[derive(Debug)]
pub(crate) enum Op {
    ListTools,
    CallTool(ToolCall),
    Health,
    RotateToken(RotateToken),
    /// Any other, with its name.
    Unknown(String),
}

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct ToolCall {
    /// The name that was called, without suffix.
    pub(super) name: String,
    /// The JSON text of the string by which the client knows the call, if it gives one.
    pub(super) request_id: Option<Box<[u8]>>,
    /// The same call in MCP.
    pub(super) message: Message,
}

/// The texts that the order to change the token needs.
#[derive(Debug)]
pub(crate) enum RotateToken {
    Missing,
    /// What the client takes for the token that counts now. The new token is of no interest.
    Old(String),
}

/// Why something is no op.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadOp {
    /// It is not UTF-8, which no text frame may be.
    NotUtf8,
    /// It is not JSON.
    NotJson,
    /// It is JSON that says nothing. The sentence says why.
    Invalid(&'static str),
}

/// What stands in the first frame of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstOp {
    /// Hello with this token; without one, the text is empty.
    Hello {
        token: String,
    },
    Other,
    Invalid,
}

/// One JSON object in a frame.
struct Object<'a> {
    text: &'a [u8],
    place: std::ops::Range<usize>,
}

impl<'a> Object<'a> {
    fn read(text: &'a [u8]) -> Result<Self, BadOp> {
        std::str::from_utf8(text).map_err(|_| BadOp::NotUtf8)?;
        let start = json::skip_space(text, 0);
        let end = json::check_value(text, start).map_err(|error| match error {
            JsonError::TooDeep => BadOp::Invalid("it is nested too deep"),
            JsonError::Syntax(_) | JsonError::Incomplete => BadOp::NotJson,
        })?;
        if json::skip_space(text, end) != text.len() {
            return Err(BadOp::NotJson);
        }
        if text[start] != b'{' {
            return Err(BadOp::Invalid("it must be a JSON object"));
        }
        Ok(Object { text, place: start..end })
    }

    /// The JSON text of a member that is there and not null.
    fn member(&self, key: &str) -> Option<&'a [u8]> {
        let place = json::find(self.text, self.place.clone(), key)?;
        Some(&self.text[place]).filter(|text| *text != b"null")
    }

    /// The text of a member that is a string.
    fn string(&self, key: &str) -> Option<String> {
        let written = self.member(key)?;
        json::string(written, 0..written.len()).map(std::borrow::Cow::into_owned)
    }
}

/// Reads one frame. A call becomes a request of MCP with this number as its id and as its progress token.
pub(crate) fn read(frame: &Bytes, number: u64) -> Result<Op, BadOp> {
    if frame.len() > limits::MESSAGE_BYTES {
        return Err(TOO_LONG);
    }
    let object = Object::read(frame)?;
    let op = object.string("op").ok_or(BadOp::Invalid("op must be a string"))?;
    Ok(match &*op {
        "list_tools" => Op::ListTools,
        "call_tool" => Op::CallTool(read_call(&object, number)?),
        "health" => Op::Health,
        "rotate_token" => {
            let given = |key| object.string(key).filter(|text| !text.is_empty());
            let old = given("old").filter(|_| given("new").is_some());
            Op::RotateToken(old.map_or(RotateToken::Missing, RotateToken::Old))
        }
        unknown => Op::Unknown(limits::cut(unknown, limits::NAME_CHARS)),
    })
}

const TOO_LONG: BadOp = BadOp::Invalid("a message may have 32 MiB");

fn read_call(object: &Object<'_>, number: u64) -> Result<ToolCall, BadOp> {
    let name = object.string("name").filter(|name| !name.is_empty());
    let name = name.ok_or(BadOp::Invalid("call_tool needs a name, which is a string"))?;
    let name = limits::cut(names::without_suffix(&name), limits::NAME_CHARS);
    let request_id = object.member("request_id");
    if request_id.is_some_and(|id| id[0] != b'"' || id.len() > limits::ID_BYTES) {
        return Err(BadOp::Invalid("request_id must be a string of at most 1024 bytes"));
    }
    let arguments = object.member("arguments").unwrap_or(b"{}");
    if arguments[0] != b'{' {
        return Err(BadOp::Invalid("arguments must be a JSON object"));
    }
    let aggregated = json::quote(&names::aggregated(&name));
    let start = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"tools/call\",\"params\":\
         {{\"name\":{aggregated},\"_meta\":{{\"progressToken\":{number}}},\"arguments\":"
    );
    let text = [start.as_bytes(), arguments, b"}}"].concat();
    if text.len() > limits::MESSAGE_BYTES {
        return Err(TOO_LONG);
    }
    // What was checked above becomes a message of MCP, whatever it is.
    let message =
        Message::parse(text.into()).map_err(|_| BadOp::Invalid("the arguments cannot be passed on"))?;
    // The router needs the parameters, and the message keeps them.
    message.params();
    Ok(ToolCall { name, request_id: request_id.map(Box::from), message })
}

/// Reads the first frame of a connection.
pub(crate) fn read_first(frame: &[u8]) -> FirstOp {
    let Ok(object) = Object::read(frame) else { return FirstOp::Invalid };
    if object.string("op").as_deref() != Some("hello") {
        return FirstOp::Other;
    }
    FirstOp::Hello { token: object.string("token").unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Op, BadOp> {
        read(&Bytes::copy_from_slice(text.as_bytes()), 7)
    }

    #[test]
    fn a_call_becomes_a_request_of_mcp_and_its_arguments_stay_as_they_are() {
        let cases = [
            (r#"{"name":"chat"}"#, "chat", None, "ai__chat", "{}"),
            (r#"{"name":"chat_EXAI-WS","arguments":null,"request_id":null}"#, "chat", None, "ai__chat", "{}"),
            (
                "{\"arguments\":{\"a\" :[1.50,\n\"\\u0041\"]},\"name\":\"fix__echo-EXAI_WS\",\"request_id\":\"\\u0061\"}",
                "fix__echo",
                Some(r#""\u0061""#),
                "fix__echo",
                r#"{"a" :[1.50, "\u0041"]}"#,
            ),
        ];
        for (members, name, request_id, aggregated, arguments) in cases {
            let text = format!("{{\"op\":\"call_tool\",{}", &members[1..]);
            let Ok(Op::CallTool(call)) = read_text(&text) else { panic!("{text}") };
            assert_eq!((&*call.name, call.request_id.as_deref()), (name, request_id.map(str::as_bytes)));
            let expected = format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{aggregated}","_meta":{{"progressToken":7}},"arguments":{arguments}}}}}"#
            );
            assert_eq!(call.message.bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn what_is_no_op_says_why() {
        let deep = format!(r#"{{"op":"call_tool","name":"x","arguments":{}}}"#, nested(limits::DEPTH));
        let long_id = format!(r#"{{"op":"call_tool","name":"x","request_id":"{}"}}"#, "x".repeat(1023));
        let cases = [
            ("", BadOp::NotJson),
            ("{", BadOp::NotJson),
            ("{} {}", BadOp::NotJson),
            (r#"{"op":NaN}"#, BadOp::NotJson),
            (r#"["op"]"#, BadOp::Invalid("it must be a JSON object")),
            ("7", BadOp::Invalid("it must be a JSON object")),
            ("{}", BadOp::Invalid("op must be a string")),
            (r#"{"op":1}"#, BadOp::Invalid("op must be a string")),
            (r#"{"op":"\ud800"}"#, BadOp::Invalid("op must be a string")),
            (r#"{"op":"call_tool"}"#, BadOp::Invalid("call_tool needs a name, which is a string")),
            (r#"{"op":"call_tool","name":""}"#, BadOp::Invalid("call_tool needs a name, which is a string")),
            (
                r#"{"op":"call_tool","name":"x","arguments":[]}"#,
                BadOp::Invalid("arguments must be a JSON object"),
            ),
            (
                r#"{"op":"call_tool","name":"x","request_id":1}"#,
                BadOp::Invalid("request_id must be a string of at most 1024 bytes"),
            ),
            (&long_id, BadOp::Invalid("request_id must be a string of at most 1024 bytes")),
            (&deep, BadOp::Invalid("it is nested too deep")),
        ];
        for (text, reason) in cases {
            assert_eq!(read_text(text).err(), Some(reason), "{text}");
        }
        assert_eq!(read(&Bytes::from_static(b"{\"op\":\"\xff\"}"), 7).err(), Some(BadOp::NotUtf8));
        let deepest = format!(r#"{{"op":"call_tool","name":"x","arguments":{}}}"#, nested(limits::DEPTH - 1));
        assert!(matches!(read_text(&deepest), Ok(Op::CallTool(_))));
        let long = Bytes::from(vec![b' '; limits::MESSAGE_BYTES + 1]);
        assert_eq!(read(&long, 7).err(), Some(TOO_LONG));
    }

    fn nested(depth: u32) -> String {
        // The outermost object counts, too.
        let depth = depth as usize - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn the_other_ops_are_known_by_their_names() {
        assert!(matches!(read_text(r#"{"op":"list_tools","x":1}"#), Ok(Op::ListTools)));
        assert!(matches!(read_text(r#" {"op":"health"} "#), Ok(Op::Health)));
        let old = |text: &str| match read_text(text) {
            Ok(Op::RotateToken(RotateToken::Old(old))) => Some(old),
            Ok(Op::RotateToken(RotateToken::Missing)) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(old(r#"{"op":"rotate_token","old":"a","new":"b"}"#).as_deref(), Some("a"));
        for missing in [r#""old":"a""#, r#""new":"b""#, r#""old":"","new":"b""#, r#""old":1,"new":"b""#] {
            assert_eq!(old(&format!(r#"{{"op":"rotate_token",{missing}}}"#)), None, "{missing}");
        }
        let unknown = format!(r#"{{"op":"{}"}}"#, "x".repeat(1000));
        let Ok(Op::Unknown(name)) = read_text(&unknown) else { panic!("{unknown}") };
        assert_eq!(name.chars().count(), limits::NAME_CHARS);
    }

    #[test]
    fn the_first_op_must_be_hello() {
        let hello = |token: &str| FirstOp::Hello { token: token.to_owned() };
        for (text, first) in [
            (r#"{"op":"hello","session_id":"mine","token":"t"}"#, hello("t")),
            (r#"{"op":"hello"}"#, hello("")),
            (r#"{"op":"hello","token":7}"#, hello("")),
            (r#"{"op":"list_tools","token":"t"}"#, FirstOp::Other),
            ("{}", FirstOp::Other),
            ("[]", FirstOp::Invalid),
            ("hello", FirstOp::Invalid),
            ("", FirstOp::Invalid),
        ] {
            assert_eq!(read_first(text.as_bytes()), first, "{text}");
        }
    }
}
