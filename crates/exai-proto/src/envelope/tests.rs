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
    let text =
        "{\r\n  \"jsonrpc\": \"2.0\",\n  \"id\": 1, \"method\": \"x\",\n \"params\": {\"t\": \"a\\nb\"}\n}\n";
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
fn what_a_server_says_is_read_as_sdks_read_it() {
    let odd = Bytes::from_static(
        b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":[NaN,-Infinity],\"b\":\"\xe9\"}}",
    );
    let message = Message::of_server(odd).unwrap();
    let expected = "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":[NaN,-Infinity],\"b\":\"\u{fffd}\"}}";
    assert_eq!(message.bytes(), expected.as_bytes());
    let both = Bytes::from_static(br#"{"jsonrpc":"2.0","result":{"a":1.0, "b":[]},"error":null, "id":7}"#);
    assert_eq!(
        Message::of_server(both).unwrap().bytes(),
        &br#"{"jsonrpc":"2.0","result":{"a":1.0, "b":[]},"id":7}"#[..]
    );
}
