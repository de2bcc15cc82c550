//! Unfinished messages of clients share one budget, and do not delay other clients.

use std::io::{Read, Write};
use std::net::TcpStream;

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

const MEBIBYTE: usize = 1 << 20;
const LONG: usize = 30 * MEBIBYTE;

fn connect(instance: &Instance, port: u16, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let token = instance.token();
    let head = head.replace("COMMON", &format!("host: 127.0.0.1:{port}\r\nauthorization: Bearer {token}"));
    stream.write_all(head.as_bytes()).expect("it reads");
    stream
}

/// A WebSocket whose client has announced a long message and sent only its beginning.
fn begun_message(instance: &Instance, port: u16) -> TcpStream {
    let head = "GET /mcp/fix HTTP/1.1\r\nCOMMON\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-protocol: mcp\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut stream = connect(instance, port, head);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    let mut begin = vec![0x81, 0x80 | 0x7F];
    begin.extend_from_slice(&(LONG as u64).to_be_bytes());
    begin.extend_from_slice(&[0; 4]);
    begin.extend_from_slice(&[b' '; 1000]);
    stream.write_all(&begin).expect("it reads");
    stream
}

/// A POST request whose body stops after its beginning.
fn begun_body(instance: &Instance, port: u16) -> TcpStream {
    let head = format!(
        "POST /mcp/fix HTTP/1.1\r\nCOMMON\r\ncontent-type: application/json\r\ncontent-length: {LONG}\r\n\r\n{{"
    );
    connect(instance, port, &head)
}

#[test]
fn what_is_begun_has_one_budget_that_is_shown_and_given_back() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let port = instance.port();
    let limit = instance.status()["limits"]["unfinished_bytes"].clone();
    assert_eq!(limit, json!(256 * MEBIBYTE));
    let held = || instance.status()["counters"]["unfinished_bytes"].clone();
    assert_eq!(held(), json!(0));
    let mut client = instance.client("fix");
    // The budget has room for eight messages, the others wait for room.
    let begun: Vec<TcpStream> =
        (0..30).flat_map(|_| [begun_message(&instance, port), begun_body(&instance, port)]).collect();
    eventually("the budget is used", LIMIT, || held() == json!(8 * LONG));
    let echo = json!({"name": "echo", "arguments": {"message": "x".repeat(10_000)}});
    assert!(client.ask("tools/call", &echo)["result"].is_object(), "short messages need no budget");
    assert_eq!(held(), json!(8 * LONG));
    drop(begun);
    eventually("all is given back", LIMIT, || held() == json!(0));
    let long = json!({"name": "echo", "arguments": {"message": "x".repeat(MEBIBYTE)}});
    let answer: Value = client.ask("tools/call", &long);
    assert_eq!(answer["result"]["content"][0]["text"].as_str().map(str::len), Some(MEBIBYTE));
    eventually("what was heard holds nothing", LIMIT, || held() == json!(0));
}

#[test]
fn what_long_messages_took_is_given_back() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let call = |client: &mut Client, size: usize| {
        let text = client.call("echo", &json!({"message": "x".repeat(size)}));
        assert_eq!(text.len(), size);
    };
    call(&mut client, MEBIBYTE);
    let before = instance.memory();
    for _ in 0..2 {
        call(&mut client, LONG);
    }
    let bound = before + 16 * MEBIBYTE as u64;
    eventually("it is given back", LIMIT, || instance.memory() < bound);
}
