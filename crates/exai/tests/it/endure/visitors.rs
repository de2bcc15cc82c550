//! Clients that connect, ask for a few things, and leave: over the link, through a shim, over HTTP and over WebSocket.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use exai_client::frame::{self, Decoder, Opcode};
use serde_json::{Value, json};

use crate::http::HttpClient;
use crate::support::{Client, Instance, LIMIT};
use crate::wire::{Wire, call, opening};

/// A resource of the fixture server to which clients can subscribe.
const URI: &str = "test://static";

/// The addresses at which clients reach the daemon.
#[derive(Clone)]
pub(super) struct Place {
    address: String,
    port: u16,
    bearer: String,
}

/// The number of answers by their error code; 0 stands for results.
pub(super) type Answers = BTreeMap<i64, u64>;

enum Way {
    Link(Wire),
    Shim(Client),
    Http(HttpClient),
    Socket(Socket),
}

impl Place {
    pub(super) fn of(instance: &Instance) -> Self {
        let bearer = format!("Bearer {}", instance.token());
        Place { address: Wire::address(instance), port: instance.port(), bearer }
    }

    /// Makes one visit. `number` decides its way and its length.
    pub(super) fn visit(&self, instance: &Instance, number: u64, polite: bool, answers: &mut Answers) {
        let mut way = match number % 16 {
            0 => Way::Shim(instance.client("fix")),
            1..=4 => Way::Http(self.http()),
            5..=8 => Way::Socket(Socket::open(self.port, &self.bearer)),
            _ => Way::Link(Wire::open(&self.address, number.is_multiple_of(2).then_some("fix"))),
        };
        let prefix = if matches!(way, Way::Link(_)) && number % 2 == 1 { "fix__" } else { "" };
        let mut ask = |id: u64, request: Value, expected: Option<&str>| {
            let answer = way.ask(&json!(id), &request);
            let code = answer["error"]["code"].as_i64().unwrap_or_default();
            *answers.entry(code).or_default() += 1;
            let text = answer["result"]["content"][0]["text"].as_str();
            // A server that has reached its greatest age may end during a call.
            let wrong = code == 0 && expected.is_some_and(|expected| text != Some(expected));
            assert!(!wrong && [0, -31005, -31006].contains(&code), "{request} was answered with {answer}");
        };
        let request = |id: u64, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        ask(1, request(1, "tools/list", json!({})), None);
        ask(2, request(2, "resources/subscribe", json!({"uri": URI})), None);
        for id in 3..8 + number % 8 {
            let message = format!("{number}, {id}");
            let echo = call(&json!(id), &format!("{prefix}echo"), &json!({"message": message}));
            ask(id, echo, Some(&message));
        }
        ask(90, call(&json!(90), &format!("{prefix}touch_resource"), &json!({"uri": URI})), None);
        ask(
            91,
            call(&json!(91), &format!("{prefix}progress"), &json!({"steps": 3, "ms": 1})),
            Some("3 steps"),
        );
        way.leave(polite || number % 4 < 2);
    }

    fn http(&self) -> HttpClient {
        let mut client = HttpClient { port: self.port, bearer: self.bearer.clone(), session: None };
        let response =
            client.post(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening()}));
        let session = response.header("mcp-session-id").map(ToOwned::to_owned);
        assert!(session.is_some(), "no session: status {}", response.status);
        client.session = session;
        assert_eq!(
            client.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).status,
            202
        );
        client
    }
}

impl Way {
    fn ask(&mut self, id: &Value, request: &Value) -> Value {
        match self {
            Way::Link(wire) => {
                wire.send(request);
                wire.answer(id)
            }
            Way::Shim(client) => {
                client.send(request);
                client.answer(id)
            }
            Way::Http(client) => client.post(request).answer(),
            Way::Socket(socket) => {
                socket.send(request);
                socket.answer(id)
            }
        }
    }

    fn leave(mut self, polite: bool) {
        let delay = call(&json!(99), "delay", &json!({"ms": 50, "message": "x"}));
        match &mut self {
            Way::Http(client) => {
                assert_eq!(client.send("DELETE", "/mcp/fix", "").status, 200, "the session ends");
            }
            _ if polite => {}
            // The visitor leaves while a call is under way.
            Way::Link(wire) => wire.send(&delay),
            Way::Shim(client) => client.send(&delay),
            Way::Socket(socket) => socket.send(&delay),
        }
    }
}

/// A WebSocket connection over TCP.
struct Socket {
    stream: TcpStream,
    decoder: Decoder,
}

impl Socket {
    const KEY: frame::Key = *b"mask";

    fn open(port: u16, bearer: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the daemon listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        let lines = [
            "GET /mcp/fix HTTP/1.1",
            &format!("host: 127.0.0.1:{port}"),
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-protocol: mcp",
            &format!("authorization: {bearer}"),
            "\r\n",
        ];
        (&stream).write_all(lines.join("\r\n").as_bytes()).expect("the request is sent");
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status line");
        assert!(line.contains(" 101 "), "{line}");
        while !line.trim_end().is_empty() {
            line.clear();
            reader.read_line(&mut line).expect("a header");
        }
        let decoder = Decoder::with(reader.buffer());
        let mut socket = Socket { stream, decoder };
        socket.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening()}));
        let answer = socket.answer(&json!(0));
        assert!(answer["result"].is_object(), "{answer}");
        socket.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        socket
    }

    fn send(&self, message: &Value) {
        let mut out = Vec::new();
        frame::put(&mut out, Opcode::Text, message.to_string().as_bytes(), Self::KEY);
        (&self.stream).write_all(&out).expect("the daemon reads");
    }

    fn answer(&mut self, id: &Value) -> Value {
        loop {
            while let Some(frame) = self.decoder.next_frame().expect("frames") {
                let Ok(message) = serde_json::from_slice::<Value>(frame.payload) else { continue };
                if message.get("method").is_none() && message["id"] == *id {
                    return message;
                }
            }
            let count = self.decoder.read_from(&self.stream).expect("an answer");
            assert!(count > 0, "the daemon has closed the connection");
        }
    }
}
