//! A client over any transport: shim, WebSocket or Streamable HTTP. All messages to the client arrive in one queue.

mod post;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use post::Post;
use serde_json::{Value, json};

use crate::http::http;
use crate::support::{Instance, LIMIT};

/// The transport of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Shim,
    Socket,
    Http,
}

pub(crate) const WAYS: [Way; 3] = [Way::Shim, Way::Socket, Way::Http];

/// The port and the token for clients over TCP.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) port: u16,
    pub(crate) bearer: String,
}

impl Door {
    pub(crate) fn of(instance: &Instance) -> Self {
        instance.ends(0, &["start"]);
        Door { port: instance.port(), bearer: format!("Bearer {}", instance.token()) }
    }
}

pub(crate) struct Party {
    inbox: Receiver<Value>,
    out: Out,
    next_id: u64,
    /// The messages that came before an awaited answer.
    pub(crate) aside: Vec<Value>,
}

enum Out {
    Shim(Child, Option<ChildStdin>),
    Socket(TcpStream),
    Http(Post),
}

impl Party {
    /// A client of one server, or of all servers, that has introduced itself as one of the legacy era, with the
    /// capabilities `can`.
    pub(crate) fn join(
        instance: &Instance,
        door: &Door,
        way: Way,
        server: Option<&str>,
        can: &Value,
    ) -> Self {
        let mut party = Party::connect(instance, door, way, server);
        party.introduce(can);
        party
    }

    /// A client of one server, or of all servers, that has said nothing yet.
    pub(crate) fn connect(instance: &Instance, door: &Door, way: Way, server: Option<&str>) -> Self {
        let (sender, inbox) = channel();
        let path = server.map_or("/mcp".to_owned(), |server| format!("/mcp/{server}"));
        let out = match way {
            Way::Shim => shim(instance, server, sender),
            Way::Socket => socket(door, &path, sender),
            Way::Http => Out::Http(Post::new(door, path, sender)),
        };
        Party { inbox, out, next_id: 1, aside: Vec::new() }
    }

    /// Begins a session.
    pub(crate) fn introduce(&mut self, can: &Value) {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": can, "clientInfo": {"name": "p", "version": "1"}}});
        self.send(&hello);
        let answer = self.answer(&json!(0));
        assert!(answer["result"].is_object(), "{answer}");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    pub(crate) fn send(&mut self, message: &Value) {
        let is_request = message.get("id").is_some() && message.get("method").is_some();
        self.write(&message.to_string(), is_request);
    }

    /// Sends the text of a request unchanged.
    pub(crate) fn send_text(&mut self, request: &str) {
        self.write(request, true);
    }

    fn write(&mut self, text: &str, is_request: bool) {
        match &mut self.out {
            Out::Shim(_, input) => {
                let input = input.as_mut().expect("stdin is open");
                input.write_all(format!("{text}\n").as_bytes()).expect("the shim reads");
            }
            Out::Socket(stream) => write_frame(stream, 1, text.as_bytes()),
            Out::Http(post) => post.send(text, is_request),
        }
    }

    /// Cancels a request as its era and the transport want it.
    pub(crate) fn cancel(&mut self, id: &Value, is_modern: bool) {
        match &self.out {
            Out::Http(post) if is_modern => post.close(id),
            _ => self.notify("notifications/cancelled", &json!({"requestId": id})),
        }
    }

    /// Sends a request and returns its id.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = json!(self.next_id);
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    pub(crate) fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// The next message of any kind.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Value {
        self.inbox.recv_timeout(LIMIT).expect("a message within 30 s")
    }

    /// The answer to the request with this id. Messages before it go to `aside`.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let message = self.receive();
            if message.get("method").is_none() && message["id"] == *id {
                return message;
            }
            self.aside.push(message);
        }
        panic!("no answer to {id}");
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.request(method, params);
        self.answer(&id)
    }

    /// Calls a tool and returns the text of its result.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> String {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        let text = answer["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("{tool}: {answer}")).to_owned()
    }

    /// The id of the session; `None` for a client that does not use HTTP.
    pub(crate) fn session(&self) -> Option<&str> {
        match &self.out {
            Out::Http(post) => post.session.as_deref(),
            Out::Shim(..) | Out::Socket(_) => None,
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        match &mut self.out {
            Out::Shim(child, input) => {
                drop(input.take());
                // The shim may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
            }
            Out::Socket(stream) => drop(stream.shutdown(std::net::Shutdown::Both)),
            Out::Http(post) => {
                // After a failure the daemon may be gone before its client.
                if !thread::panicking() {
                    post.end();
                }
            }
        }
    }
}

fn shim(instance: &Instance, server: Option<&str>, inbox: Sender<Value>) -> Out {
    let mut command = instance.command(&["shim"]);
    command.args(server.iter().flat_map(|server| ["--server", *server]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a shim");
    let (input, output) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let message = serde_json::from_str(&line).expect("stdout holds messages");
            if inbox.send(message).is_err() {
                return;
            }
        }
    });
    Out::Shim(child, input)
}

fn socket(door: &Door, path: &str, inbox: Sender<Value>) -> Out {
    let headers = [
        ("authorization", door.bearer.as_str()),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "mcp"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let response = http(door.port, "GET", path, &headers, "");
    assert_eq!(response.status, 101);
    let mut reader = response.into_reader();
    let stream = reader.get_ref().try_clone().expect("a handle");
    stream.set_read_timeout(None).expect("no timeout");
    thread::spawn(move || {
        while let Some((opcode, payload)) = read_frame(&mut reader) {
            if opcode == 1 {
                let message = serde_json::from_slice(&payload).expect("text frames hold messages");
                if inbox.send(message).is_err() {
                    return;
                }
            }
        }
    });
    Out::Socket(stream)
}

/// Writes a client's frame with a mask of zeros, which changes nothing.
fn write_frame(stream: &mut TcpStream, opcode: u8, payload: &[u8]) {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        medium @ 126..0x1_0000 => {
            bytes.push(0x80 | 0x7e);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend_from_slice(payload);
    stream.write_all(&bytes).expect("the daemon reads");
}

fn read_frame(reader: &mut BufReader<TcpStream>) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    reader.read_exact(&mut head).ok()?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length).ok()?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            reader.read_exact(&mut length).ok()?;
            u64::from_be_bytes(length)
        }
        short => u64::from(short),
    };
    let mut payload = vec![0; length as usize];
    reader.read_exact(&mut payload).ok()?;
    Some((head[0] & 0x0f, payload))
}
