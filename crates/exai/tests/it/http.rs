//! The TCP endpoint: access to it, and Streamable HTTP and WebSocket as their specifications describe them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: BufReader<TcpStream>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(self) -> Value {
        self.json_and_connection().0
    }

    /// The document, and the connection for the next request. An answer that takes a moment comes as a stream.
    pub(crate) fn json_and_connection(mut self) -> (Value, BufReader<TcpStream>) {
        if self.is_stream() {
            let answer = self.answer_in_stream();
            // The last chunk has no bytes, and an empty line follows.
            let mut line = String::new();
            while line.trim_end() != "0" {
                line.clear();
                assert_ne!(self.body.read_line(&mut line).expect("a line"), 0, "the stream has no end");
            }
            self.body.read_line(&mut line).expect("a line");
            return (answer, self.body);
        }
        let length = self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.body.read_exact(&mut body).expect("the body");
        (serde_json::from_slice(&body).unwrap_or(Value::Null), self.body)
    }

    /// The answer to a request, which is the body or the last event of a stream.
    pub(crate) fn answer(mut self) -> Value {
        if self.is_stream() { self.answer_in_stream() } else { self.json() }
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.header("content-type") == Some("text/event-stream")
    }

    fn answer_in_stream(&mut self) -> Value {
        loop {
            let message = self.event();
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    /// The next message of an event stream.
    pub(crate) fn event(&mut self) -> Value {
        self.next_event().expect("the stream has not ended")
    }

    /// The next message of an event stream; `None` when the stream has ended.
    pub(crate) fn next_event(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            self.body.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).expect("an event holds a message"));
            }
        }
    }

    /// Another handle of the connection.
    pub(crate) fn connection(&self) -> TcpStream {
        self.body.get_ref().try_clone().expect("a handle")
    }

    /// The reader behind the head of the response.
    pub(crate) fn into_reader(self) -> BufReader<TcpStream> {
        self.body
    }
}

pub(crate) fn http(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    http_over(connect(port), method, path, headers, body)
}

/// A connection to the daemon.
pub(crate) fn connect(port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the daemon listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    BufReader::new(stream)
}

/// Sends a request over a connection that has none under way.
pub(crate) fn http_over(
    mut reader: BufReader<TcpStream>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let stream = reader.get_mut();
    let port = stream.peer_addr().expect("an address").port();
    let mut lines = vec![format!("{method} {path} HTTP/1.1")];
    if !headers.iter().any(|(name, _)| *name == "host") {
        lines.push(format!("host: 127.0.0.1:{port}"));
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(lines.join("\r\n").as_bytes()).expect("the request is sent");
    let mut line = String::new();
    reader.read_line(&mut line).expect("a status line");
    let status =
        line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    Response { status, headers, body: reader }
}

#[test]
fn nobody_comes_in_who_should_not() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let port = instance.port();
    let bearer = format!("Bearer {}", instance.token());
    let auth = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    let evil_host = format!("127.0.0.1.evil.com:{port}");
    let own = format!("http://localhost:{port}");
    let upgrade: [(&str, &str); 4] = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let cases = [
        ("no token", vec![json], 401),
        ("a wrong token", vec![json, ("authorization", "Bearer 0000")], 401),
        ("another host", vec![json, auth, ("host", &evil_host)], 403),
        ("another port", vec![json, auth, ("host", "localhost:1")], 403),
        ("another origin", vec![json, auth, ("origin", "https://evil.com")], 403),
        ("no origin at all", vec![json, auth, ("origin", "null")], 403),
        ("two hosts", vec![json, auth, ("host", "localhost:1"), ("host", "localhost:2")], 403),
        ("a form", vec![auth, ("content-type", "text/plain")], 415),
        ("our own origin", vec![json, auth, ("origin", &own)], 400), // allowed, but the body is no message
    ];
    for (who, headers, expected) in cases {
        assert_eq!(http(port, "POST", "/mcp", &headers, "{}").status, expected, "{who}");
    }
    for path in ["/mcp", "/mcp/fix", "/shim", "/anything"] {
        let mut headers = upgrade.to_vec();
        assert_eq!(http(port, "GET", path, &headers, "").status, 401, "{path} without a token");
        headers.extend([auth, ("origin", "https://evil.com")]);
        assert_eq!(http(port, "GET", path, &headers, "").status, 403, "{path} from a web page");
    }
    let mut headers = upgrade.to_vec();
    headers.push(auth);
    assert_eq!(http(port, "GET", "/shim", &headers, "").status, 404, "the link is not on TCP");
    assert_eq!(http(port, "GET", "/mcp/fix", &headers, "").status, 101);
    let basic = http(port, "GET", "/healthz", &[], "");
    assert_eq!(basic.status, 200);
    assert_eq!(http(port, "GET", "/healthz", &[("host", &evil_host)], "").status, 403);
    assert!(basic.header("access-control-allow-origin").is_none());
}

/// The body of a response, as text.
pub(crate) fn sentence(response: Response) -> String {
    let length = response.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    response.into_reader().read_exact(&mut body).expect("the body");
    String::from_utf8(body).expect("text")
}

#[test]
fn a_target_that_names_another_host_is_refused_and_a_slash_behind_a_path_changes_nothing() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let port = instance.port();
    let bearer = format!("Bearer {}", instance.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let ours = [format!("http://127.0.0.1:{port}/mcp"), format!("http://localhost:{port}/mcp/")];
    for target in ours.iter().map(String::as_str).chain(["/mcp", "/mcp/", "/mcp/fix", "/mcp/fix/"]) {
        let response = http(port, "POST", target, &headers, "garbage");
        assert_eq!(response.status, 400, "{target}");
        assert_eq!(response.json()["error"]["code"], -32700, "{target} is where MCP is spoken");
    }
    let foreign = ["evil.com", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.com:80", "user@127.0.0.1"];
    for host in foreign {
        for path in ["/mcp", "/healthz"] {
            let response = http(port, "POST", &format!("http://{host}{path}"), &headers, "garbage");
            assert_eq!(response.status, 403, "{host}{path}");
        }
    }
    for path in ["/", "/mcp/fix/tools", "/sse"] {
        let response = http(port, "GET", path, &headers, "");
        assert_eq!(response.status, 404, "{path}");
        let text = sentence(response);
        assert!(text.contains("/mcp/NAME"), "{path}: {text:?}");
    }
}

#[derive(Clone)]
pub(crate) struct HttpClient {
    pub(crate) port: u16,
    pub(crate) bearer: String,
    pub(crate) session: Option<String>,
}

impl HttpClient {
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Response {
        let mut headers = vec![
            ("authorization", self.bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-06-18"),
        ];
        headers.extend(self.session.as_deref().map(|session| ("mcp-session-id", session)));
        http(self.port, method, path, &headers, body)
    }

    pub(crate) fn post(&self, body: &Value) -> Response {
        self.send("POST", "/mcp/fix", &body.to_string())
    }
}

#[test]
fn a_session_begins_streams_and_ends() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let bearer = format!("Bearer {}", instance.token());
    let mut client = HttpClient { port: instance.port(), bearer, session: None };
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(client.post(&ping).status, 400, "no session");
    client.session = Some("0123456789abcdef".into());
    assert_eq!(client.post(&ping).status, 404, "an unknown session");
    client.session = None;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}});
    let response = client.post(&hello);
    client.session = response.header("mcp-session-id").map(ToOwned::to_owned);
    assert!(client.session.is_some());
    assert_eq!(response.json()["result"]["protocolVersion"], "2025-06-18");
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(client.post(&told).status, 202);
    assert_eq!(client.post(&ping).json(), json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    assert_eq!(client.send("POST", "/mcp", &ping.to_string()).status, 404, "a session of another endpoint");

    let call = json!({"jsonrpc": "2.0", "id": "p", "method": "tools/call", "params": {
        "name": "progress", "arguments": {"steps": 3, "ms": 1}, "_meta": {"progressToken": "t"}}});
    let mut stream = client.post(&call);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    for _ in 0..3 {
        assert_eq!(stream.event()["params"]["progressToken"], "t");
    }
    assert_eq!(stream.event()["id"], "p");

    let mut get = client.send("GET", "/mcp/fix", "");
    assert_eq!(get.status, 200);
    assert_eq!(client.send("GET", "/mcp/fix", "").status, 409, "one GET stream a session");
    let change = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "change_tools", "arguments": {}}});
    assert_eq!(client.post(&change).status, 200);
    assert_eq!(get.event()["method"], "notifications/tools/list_changed");

    assert_eq!(client.send("DELETE", "/mcp/fix", "").status, 200);
    assert_eq!(client.post(&ping).status, 404);
}

#[test]
fn bad_bodies_are_answered_and_nothing_else_happens() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let bearer = format!("Bearer {}", instance.token());
    let client = HttpClient { port: instance.port(), bearer, session: None };
    for (body, code) in [("garbage", -32700), ("[]", -32600), ("{\"jsonrpc\":\"2.0\"}", -32600)] {
        let response = client.send("POST", "/mcp", body);
        assert_eq!(response.status, 400, "{body}");
        assert_eq!(response.json()["error"]["code"], code, "{body}");
    }
    assert_eq!(client.send("PUT", "/mcp", "{}").status, 405);
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn where_there_are_too_many_sessions_the_longest_unused_without_a_stream_gives_way() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let bearer = format!("Bearer {}", instance.token());
    let begin = || {
        let mut client = HttpClient { port: instance.port(), bearer: bearer.clone(), session: None };
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}});
        let response = client.send("POST", "/mcp", &hello.to_string());
        assert_eq!(response.status, 200);
        client.session = response.header("mcp-session-id").map(ToOwned::to_owned);
        client
    };
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let status = |client: &HttpClient| client.send("POST", "/mcp", &ping).status;
    let listens = begin();
    let _stream = listens.send("GET", "/mcp", "");
    let (oldest, second, used) = (begin(), begin(), begin());
    let mut others: Vec<HttpClient> = (4..256).map(|_| begin()).collect();
    assert_eq!(status(&used), 200);
    others.push(begin());
    assert_eq!(status(&oldest), 404, "it was not used for longest");
    assert_eq!(status(&listens), 200, "it has a stream open");
    for client in others.iter().chain([&used, &second]) {
        assert_eq!(status(client), 200);
    }
    let clients = instance.status()["clients"].as_array().map(Vec::len);
    assert_eq!(clients, Some(256), "who gave way is forgotten");
}
