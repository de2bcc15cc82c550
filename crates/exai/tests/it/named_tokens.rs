//! `exai token add`, `list` and `remove`: tokens that have names.

mod removal;

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Instant;

use exai_os::private;
use exai_test::eventually;
use serde_json::{Value, json};

use crate::http::{HttpClient, Response, connect, http, http_over};
use crate::origin_wire::Origin;
use crate::support::{Instance, LIMIT, add_modern_meta, fixture, text};
use crate::websocket::{FINAL, Raw, TEXT};

/// Makes a token. Its stdout must be the token and nothing else.
#[track_caller]
pub(crate) fn add(instance: &Instance, name: &str) -> String {
    let output = instance.exai(&["token", "add", name]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    let token = out.strip_suffix('\n').expect("one line").to_owned();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{out}");
    assert!(err.contains(name) && err.contains("Bearer") && !err.contains(&token), "{err}");
    token
}

fn hello() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}})
}

/// The statuses of the daemon's answers to a request and to a WebSocket handshake with this token.
fn judged(port: u16, token: &str) -> (u16, u16) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answered = http(port, "POST", "/mcp", &headers, &hello().to_string());
    (answered.status, http(port, "GET", "/mcp", &upgrade(&bearer), "").status)
}

/// The headers of a WebSocket handshake.
fn upgrade(bearer: &str) -> [(&str, &str); 5] {
    [
        ("authorization", bearer),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
}

/// Everything that somebody with one token has open.
struct Visitor {
    token: String,
    http: HttpClient,
    /// The event stream of the session.
    stream: Response,
    /// The event stream of a call that never ends.
    call: Response,
    socket: Raw,
    /// A connection of the modern era, on whose stream nothing comes but its beginning.
    listen: Response,
    origin: Origin,
}

impl Visitor {
    fn open(instance: &Instance, token: &str) -> Self {
        let port = instance.port();
        let mut http = HttpClient { port, bearer: format!("Bearer {token}"), session: None };
        http.session = http.post(&hello()).header("mcp-session-id").map(ToOwned::to_owned);
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(http.post(&told).status, 202);
        let stream = http.send("GET", "/mcp/fix", "");
        let hang = json!({"jsonrpc": "2.0", "id": "h", "method": "tools/call", "params": {
            "name": "hang", "arguments": {"label": "x"}}});
        let call = http.post(&hang);
        let headers = format!("authorization: Bearer {token}\r\nsec-websocket-protocol: mcp\r\n");
        let mut socket = Raw::open_at(port, "/mcp/fix", &headers);
        socket.send(FINAL | TEXT, hello().to_string().as_bytes());
        assert_eq!(socket.message()["id"], 0);
        let listen = listen(port, token);
        assert_eq!((stream.status, call.status, listen.status), (200, 200, 200));
        let (token, origin) = (token.to_owned(), Origin::join_with(port, token));
        Visitor { token, http, stream, call, socket, listen, origin }
    }

    /// Checks that all of it works on. What has come on the streams before this may not have been read.
    fn is_served(&mut self) {
        let ping = json!({"jsonrpc": "2.0", "id": 7, "method": "ping"});
        assert_eq!(self.http.post(&ping).json(), json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
        self.socket.send(FINAL | TEXT, ping.to_string().as_bytes());
        while self.socket.message()["id"] != 7 {}
        let result = self.origin.call("fix__echo", &json!({"message": "on"}));
        assert_eq!(result["text"], "on", "{result}");
        let change = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {
            "name": "change_tools", "arguments": {}}});
        assert_eq!(self.http.post(&change).status, 200);
        assert_eq!(self.stream.event()["method"], "notifications/tools/list_changed");
        let change = json!({"name": "change_tools", "arguments": {}});
        assert_eq!(modern(connect(self.http.port), &self.token, "tools/call", change).status, 200);
        assert_eq!(self.listen.event()["method"], "notifications/tools/list_changed");
        let call = self.call.connection();
        call.set_nonblocking(true).expect("a socket");
        assert!(!matches!(call.peek(&mut [0]), Ok(0)), "the call goes on");
    }

    /// Checks that all of it has ended.
    fn is_gone(self) {
        let Visitor { token: _, http, stream, call, mut socket, listen, mut origin } = self;
        for (name, response) in [("the stream", stream), ("the call", call), ("the listen", listen)] {
            ends(response, name);
        }
        assert_eq!((socket.close_code(), origin.close_code()), (1008, 1008));
        assert_eq!(http.post(&json!({"jsonrpc": "2.0", "id": 7, "method": "ping"})).status, 401);
    }
}

/// A listen of the modern era that was acknowledged.
fn listen(port: u16, token: &str) -> Response {
    let params = json!({"notifications": {"toolsListChanged": true}});
    let mut response = modern(connect(port), token, "subscriptions/listen", params);
    assert_eq!(response.event()["method"], "notifications/subscriptions/acknowledged");
    response
}

fn modern(over: BufReader<TcpStream>, token: &str, method: &str, mut params: Value) -> Response {
    add_modern_meta(&mut params, "modern", json!({}));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ];
    let named = body["params"]["name"].as_str().map(|name| ("mcp-name", name));
    let headers: Vec<(&str, &str)> = headers.into_iter().chain(named).collect();
    http_over(over, "POST", "/mcp/fix", &headers, &body.to_string())
}

/// Waits for the end of a response.
#[track_caller]
fn ends(response: Response, name: &str) {
    let (mut reader, begun) = (response.into_reader(), Instant::now());
    loop {
        match reader.read_until(b'\n', &mut Vec::new()) {
            Ok(0) => return,
            // A stream that lives says so every 10 s.
            Ok(_) => assert!(begun.elapsed() < LIMIT, "{name} does not end"),
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted) =>
            {
                return;
            }
            Err(error) => panic!("{name} does not end: {error}"),
        }
    }
}

fn tokens_of_clients(instance: &Instance) -> Vec<Option<String>> {
    let status = instance.status();
    let clients = status["clients"].as_array().expect("clients").iter();
    let mut tokens: Vec<Option<String>> =
        clients.map(|client| client["token"].as_str().map(ToOwned::to_owned)).collect();
    tokens.sort();
    tokens
}

fn listed(instance: &Instance) -> Vec<String> {
    let list = instance.json(&["token", "list", "--json"]);
    let tokens = list["tokens"].as_array().expect("tokens").iter();
    tokens.map(|token| token["name"].as_str().expect("a name").to_owned()).collect()
}

/// An instance with a server that serves both eras' clients on `/mcp/fix`.
fn instance() -> Instance {
    let instance = Instance::new(&format!("{}bridge = true\n", fixture("fix", &[])));
    instance.ends(0, &["start"]);
    instance
}

#[test]
fn a_token_that_is_removed_ends_what_it_has_opened_and_nothing_of_others() {
    let instance = instance();
    let (laptop, phone) = (add(&instance, "laptop"), add(&instance, "phone"));
    assert!(laptop != phone && laptop != instance.token());
    assert_eq!(listed(&instance), ["laptop", "phone"]);
    let own = instance.token();
    let visitors = [&laptop, &phone, &own].map(|token| Visitor::open(&instance, token));
    let of_each = |name: Option<&str>| vec![name.map(ToOwned::to_owned); 4];
    let all = [of_each(None), of_each(Some("laptop")), of_each(Some("phone"))].concat();
    assert_eq!(tokens_of_clients(&instance), all);
    assert!(instance.ends(0, &["status"]).contains("http, token laptop"));

    // Nobody uses a session that another token has opened.
    for other in &visitors[1..] {
        let mut thief = other.http.clone();
        thief.session.clone_from(&visitors[0].http.session);
        assert_eq!(thief.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).status, 404);
        assert_eq!(thief.send("DELETE", "/mcp/fix", "").status, 404);
    }
    let [of_laptop, mut of_phone, mut of_account] = visitors;
    let said = instance.ends(0, &["token", "remove", "laptop"]);
    assert_eq!(said, "removed laptop, and disconnected 4 clients that had shown it\n");
    assert_eq!(judged(instance.port(), &laptop), (401, 401));
    of_laptop.is_gone();
    of_phone.is_served();
    of_account.is_served();
    assert_eq!(listed(&instance), ["phone"]);
    assert_eq!(tokens_of_clients(&instance).iter().flatten().collect::<Vec<_>>(), ["phone"; 4]);
    // A restart waits for calls under way.
    for visitor in [&of_phone, &of_account] {
        assert_eq!(visitor.http.send("DELETE", "/mcp/fix", "").status, 200);
    }

    instance.ends(0, &["restart"]);
    assert_eq!(judged(instance.port(), &laptop), (401, 401));
    assert_eq!(judged(instance.port(), &phone), (200, 101));
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(log.contains("laptop") && ![&laptop, &phone, &own].iter().any(|token| log.contains(&***token)));
}

/// A proxy sends the requests of several clients over one connection.
#[test]
fn one_connection_may_carry_the_requests_of_several_tokens() {
    let instance = instance();
    let (laptop, phone) = (add(&instance, "laptop"), add(&instance, "phone"));
    let mut over = connect(instance.port());
    for token in [&laptop, &phone, &laptop] {
        let response = modern(over, token, "tools/list", json!({}));
        assert_eq!(response.status, 200);
        let answer;
        (answer, over) = response.json_and_connection();
        assert!(answer["result"]["tools"].is_array(), "{answer}");
    }
    instance.ends(0, &["token", "remove", "laptop"]);
    let response = modern(over, &phone, "tools/list", json!({}));
    assert_eq!(response.status, 200);
    let (_, over) = response.json_and_connection();
    assert_eq!(modern(over, &laptop, "tools/list", json!({})).status, 401);
}

#[test]
fn what_is_not_the_token_is_refused() {
    let instance = Instance::with_fixture(&[]);
    let token = add(&instance, "laptop");
    assert!(!instance.home().join("daemon.json").exists(), "it starts no daemon");
    instance.ends(0, &["start"]);
    let port = instance.port();
    assert_eq!(judged(port, &token), (200, 101), "the next daemon knows it");
    let file = std::fs::read_to_string(instance.home().join("tokens.json")).expect("a file");
    let kept: Value = serde_json::from_str(&file).expect("JSON");
    let hash = kept["tokens"][0]["sha256"].as_str().expect("a hash").to_owned();
    assert!(!file.contains(&token) && hash.len() == 64, "{file}");
    is_private(&instance);
    let wrong = [
        "",
        "laptop",
        &hash,
        &token[..63],
        &format!("{token}0"),
        &format!("{}{}", &token[1..], &token[..1]),
        &format!("{token},{token}"),
    ];
    for shown in wrong {
        assert_eq!(judged(port, shown), (401, 401), "{shown}");
    }
    let basic = format!("Basic {}", base64(&format!("laptop:{token}")));
    let headers = [("authorization", basic.as_str()), ("content-type", "application/json")];
    assert_eq!(http(port, "POST", "/mcp", &headers, &hello().to_string()).status, 200);
    let twice = [("authorization", basic.as_str()), ("authorization", basic.as_str())];
    assert_eq!(http(port, "GET", "/healthz", &twice, "").status, 200, "that needs none");
    assert_eq!(http(port, "GET", "/mcp", &twice, "").status, 401);
}

#[test]
fn names_are_checked_and_what_is_not_there_is_said() {
    let instance = Instance::with_fixture(&[]);
    assert!(instance.ends(0, &["token", "list"]).contains("`exai token add NAME`"));
    assert_eq!(instance.json(&["token", "list", "--json"]), json!({"schema": 1, "tokens": []}));
    for name in ["", "a b", "../x", "ü"] {
        instance.ends(2, &["token", "add", name]);
    }
    let complains = |args: &[&str], about: &str| {
        let output = instance.exai(args);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
        let err = text(&output.stderr);
        assert!(err.contains(about), "{args:?}: {err}");
    };
    complains(&["token", "remove", "laptop"], "there is no token `laptop`; there is none");
    add(&instance, "Laptop");
    complains(&["token", "add", "laptop"], "there is a token `Laptop` already");
    complains(&["token", "remove", "phone"], "there is no token `phone`; there are: Laptop");
    let list = instance.ends(0, &["token", "list"]);
    assert!(list.starts_with("Laptop") && list.contains('T'), "{list}");
    assert_eq!(instance.ends(0, &["token", "remove", "Laptop"]), "removed Laptop\n");
}

#[test]
fn tokens_that_are_made_at_once_are_all_kept_and_a_name_is_given_once() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let start = |name: String| {
        let mut command = instance.command(&["token", "add", &name]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let names: Vec<String> =
        (0..4).map(|number| format!("n{number}")).chain(vec!["same".to_owned(); 3]).collect();
    let running: Vec<_> = names.into_iter().map(start).collect();
    let ended: Vec<_> = running.into_iter().map(|child| child.wait_with_output().expect("it ends")).collect();
    let made: Vec<String> = ended
        .iter()
        .filter(|output| output.status.success())
        .map(|output| text(&output.stdout).trim().to_owned())
        .collect();
    assert_eq!(made.len(), 5);
    let mut listed = listed(&instance);
    listed.sort();
    assert_eq!(listed, ["n0", "n1", "n2", "n3", "same"]);
    for token in made {
        assert_eq!(judged(instance.port(), &token), (200, 101), "each command has told the daemon");
    }
}

#[test]
fn a_file_that_is_wrong_is_named_and_lets_nobody_in_but_who_has_the_own_token() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let token = add(&instance, "laptop");
    let file = instance.home().join("tokens.json");
    let good = std::fs::read(&file).expect("a file");
    assert_eq!(judged(instance.port(), &token), (200, 101));
    let two = String::from_utf8(good.clone()).expect("text").replace("laptop", "hidden name");
    for bad in ["hidden".to_owned(), "{\"schema\":1}".to_owned(), two, "x".repeat(200_000)] {
        private::write_atomic(&file, bad.as_bytes()).expect("it is written");
        for args in [&["token", "list"][..], &["token", "add", "other"], &["token", "remove", "laptop"]] {
            let output = instance.exai(args);
            assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{args:?}");
            let err = text(&output.stderr);
            assert!(err.contains("tokens.json") && !err.contains("hidden"), "{args:?}: {err}");
        }
        assert_eq!(std::fs::read(&file).expect("a file"), bad.as_bytes(), "nobody has replaced it");
        eventually("the daemon names it", LIMIT, || finding(&instance).is_some());
        assert_eq!(judged(instance.port(), &token), (401, 401));
        assert_eq!(judged(instance.port(), &instance.token()), (200, 101));
        private::write_atomic(&file, &good).expect("it is written");
        eventually("it is mended", LIMIT, || finding(&instance).is_none());
        assert_eq!(judged(instance.port(), &token), (200, 101));
    }
    private::write_atomic(&file, b"hidden").expect("it is written");
    instance.ends(0, &["restart"]);
    let detail = finding(&instance).expect("the next daemon names it as well");
    assert!(detail.contains("tokens.json: this is no list of tokens (line 1, column 1)"), "{detail}");
    assert_eq!(judged(instance.port(), &token), (401, 401));
    assert_eq!(judged(instance.port(), &instance.token()), (200, 101));
}

/// The Base64 of a text whose length can be divided by three, or else is filled up.
fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for part in text.as_bytes().chunks(3) {
        let bits = part.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            encoded.push(if place <= part.len() { char::from(digit) } else { '=' });
        }
    }
    encoded
}

fn finding(instance: &Instance) -> Option<String> {
    let status = instance.status();
    let findings = status["findings"].as_array().expect("findings").iter();
    let mut found = findings.filter(|finding| finding["id"] == "tokens-invalid");
    found.next().map(|finding| finding["detail"].as_str().expect("a detail").to_owned())
}

/// exai refuses to read a file that is not the account's own.
#[track_caller]
fn is_private(instance: &Instance) {
    let file = instance.home().join("tokens.json");
    private::read(&file, 1 << 20).expect("a private file");
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
