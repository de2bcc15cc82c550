//! Servers that run elsewhere, reached by WebSocket. The real ones are those of another daemon.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use exai_os::process::{self, Kill};
use exai_test::scripted_http::{ScriptedHttp, document};
use exai_test::{eventually, free_port, program};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

use crate::remote::{call, hosting, refusal, serves_from_elsewhere};
use crate::support::{Instance, LIMIT, fixture};

/// A daemon elsewhere that listens on this port.
fn listening(port: u16, servers: &str) -> Instance {
    let instance = Instance::new("");
    let text = format!("[daemon]\nport = {port}\n{servers}");
    std::fs::write(instance.home().join("config.toml"), text).expect("config.toml is written");
    instance.ends(0, &["start"]);
    instance
}

/// A daemon that reaches this server of another daemon.
fn reaching(other: &Instance, port: u16, server: &str, more: &str) -> Instance {
    let token = format!("headers = {{ Authorization = \"Bearer {}\" }}\n{more}", other.token());
    hosting(&format!("ws://127.0.0.1:{port}/mcp/{server}"), &token)
}

/// The clients by WebSocket of a daemon.
fn connected(instance: &Instance) -> usize {
    let status = instance.status();
    let clients = status["clients"].as_array().expect("clients");
    clients.iter().filter(|client| client["transport"] == "websocket").count()
}

#[test]
fn a_server_elsewhere_is_served_by_websocket_whatever_era_it_speaks() {
    let suite_server = |era: &str| {
        let (command, args) = (json!(program("suite-server")), json!(["--era", era]));
        format!("[servers.{era}]\ncommand = {command}\nargs = {args}\n")
    };
    let port = free_port();
    let other = listening(port, &["legacy", "modern", "dual"].map(suite_server).concat());
    // The other daemon serves legacy clients of the modern server as well, so the era has to be chosen.
    for (era, revision, more) in [
        ("legacy", "2025-11-25", ""),
        ("modern", "2026-07-28", "era = \"modern\""),
        ("dual", "2025-11-25", ""),
    ] {
        let instance = reaching(&other, port, era, more);
        let mut client = instance.client("far");
        let tools = client.ask("tools/list", &json!({}));
        let tools = tools["result"]["tools"].as_array().unwrap_or_else(|| panic!("{era}: {tools}"));
        assert!(tools.iter().any(|tool| tool["name"] == "test_simple_text"), "{era}: {tools:?}");
        serves_from_elsewhere(&instance, &mut client, revision);
        let listed = instance.json(&["list", "--json"]);
        assert_eq!(listed["servers"][0]["transport"], "ws", "{era}: {listed}");
        let shown = instance.ends(0, &["status", "--json"]);
        assert!(!shown.contains(&other.token()), "{shown}");
    }
}

#[test]
fn each_legacy_client_is_a_client_there_until_it_leaves() {
    let port = free_port();
    let other = listening(port, &fixture("fix", &[]));
    let instance = reaching(&other, port, "fix", "");
    let mut clients = [instance.client("far"), instance.client("far")];
    for client in &mut clients {
        assert_eq!(client.call("echo", &json!({"message": "here"})), "here");
    }
    assert_eq!(connected(&other), 2);
    for client in clients {
        client.finish();
    }
    eventually("both have left", LIMIT, || connected(&other) == 0);
}

#[test]
fn a_daemon_elsewhere_that_is_killed_and_comes_back_is_found_again() {
    let port = free_port();
    let other = listening(port, &fixture("fix", &[]));
    let instance = reaching(&other, port, "fix", "");
    let mut client = instance.client("far");
    assert_eq!(client.call("echo", &json!({"message": "before"})), "before");
    let pid = other.status()["daemon"]["pid"].as_u64().expect("a pid") as u32;
    let daemon = process::identify(pid).expect("the process table").expect("it runs");
    process::kill_verified(&daemon, Kill::Force).expect("it can be killed");
    let lost = client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "x"}}));
    assert!(lost["error"]["message"].is_string(), "{lost}");
    other.ends(0, &["start"]);
    eventually("it is served again", LIMIT, || {
        let answer = client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "after"}}));
        answer["result"]["content"][0]["text"] == "after"
    });
}

#[test]
fn what_stands_in_the_way_of_a_websocket_is_said_in_one_sentence() {
    for (status, headers, body, said) in [
        (401, "", "who?", "asks for a sign-in (HTTP 401): who?; set `Authorization` in its `headers`"),
        (403, "", "go away", "opened no WebSocket: it answered HTTP 403 Forbidden: go away"),
        (200, "", "<html>", "opened no WebSocket: it answered HTTP 200 OK: <html>"),
        (307, "Location: /elsewhere\r\n", "", "redirects to another place, where nothing is sent"),
    ] {
        let server = ScriptedHttp::start(move |_| document(status, headers, body));
        let instance = hosting(&server.url("/mcp").replace("http://", "ws://"), "");
        let message = refusal(&instance);
        assert!(message.contains(said), "{status}: {message}");
        assert_eq!(server.requests().len(), 1, "{status}: {:#?}", server.requests());
        let request = &server.requests()[0];
        assert_eq!((&*request.path, request.header("sec-websocket-protocol")), ("/mcp", Some("mcp")));
    }
    let instance = hosting(&format!("ws://127.0.0.1:{}/mcp", free_port()), "");
    assert!(refusal(&instance).contains("cannot be reached: the connection is refused"));
    let instance = hosting("ws://mcp.example.com/mcp", "headers = { Authorization = \"Bearer secret\" }");
    let message = refusal(&instance);
    assert!(message.contains("use wss://") && !message.contains("secret"), "{message}");
}

type Peer = WebSocket<TcpStream>;

/// A server of the legacy era that answers calls as `answer_call` does, and names no subprotocol. Returns its URL, and
/// counts its connections.
fn scripted(answer_call: impl Fn(&mut Peer, &Value) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    serve(move |stream| converse(stream, &answer_call))
}

fn serve(converse: impl Fn(TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("ws://{}/mcp", listener.local_addr().expect("it listens"));
    let (count, converse) = (Arc::new(AtomicUsize::new(0)), Arc::new(converse));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let converse = Arc::clone(&converse);
            thread::spawn(move || converse(stream));
        }
    });
    (url, count)
}

/// A server that greets and hangs up. Returns its URL, and counts its connections.
fn greeting(text: &'static str) -> (String, Arc<AtomicUsize>) {
    serve(move |stream| {
        let mut peer = accept(stream).expect("a handshake");
        peer.send(Message::text(text)).expect("it is sent");
        let frame = CloseFrame { code: 1000.into(), reason: "".into() };
        peer.close(Some(frame)).expect("it can be closed");
        while peer.read().is_ok() {}
    })
}

fn converse(stream: TcpStream, answer_call: &dyn Fn(&mut Peer, &Value)) {
    let mut peer = accept(stream).expect("a handshake");
    while let Ok(frame) = peer.read() {
        let Message::Text(text) = frame else { continue };
        let message: Value = serde_json::from_str(&text).expect("one message in each text frame");
        let id = &message["id"];
        match message["method"].as_str() {
            Some("initialize") => say(
                &mut peer,
                &json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}}, "serverInfo": {"name": "scripted", "version": "1"}}}),
            ),
            Some("tools/call") => answer_call(&mut peer, id),
            Some(_) if id.is_null() => {}
            Some(_) | None => {
                let error = json!({"code": -32601, "message": "not known"});
                say(&mut peer, &json!({"jsonrpc": "2.0", "id": id, "error": error}));
            }
        }
    }
}

fn say(peer: &mut Peer, message: &Value) {
    // A client that has gone is what some tests are about.
    let _ = peer.send(Message::text(message.to_string()));
}

fn answer(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": "done"}]}})
}

#[test]
fn a_connection_that_ends_within_a_call_is_named_and_the_next_call_has_another_one() {
    type Fault = fn(&mut Peer);
    let faults: [(&str, Fault); 5] = [
        ("closed the connection (1012: restarting)", |peer| {
            let frame = CloseFrame { code: 1012.into(), reason: "restarting".into() };
            peer.close(Some(frame)).expect("it can be closed");
        }),
        ("dropped the connection", |peer| {
            peer.get_ref().shutdown(std::net::Shutdown::Both).expect("it can be shut down");
        }),
        ("sent a binary frame that is no UTF-8", |peer| {
            peer.send(Message::binary(&b"\xff"[..])).expect("it is sent");
        }),
        ("sent a message that is longer than 32 MiB", |peer| {
            // The client may hang up before all of it was sent.
            let _ = peer.send(Message::text("x".repeat((32 << 20) + 1)));
        }),
        ("broke the WebSocket protocol", |peer| {
            std::io::Write::write_all(peer.get_mut(), &[0xF1, 0]).expect("it is sent");
        }),
    ];
    for (said, fault) in faults {
        let calls = AtomicUsize::new(0);
        let (url, connections) = scripted(move |peer, id| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => fault(peer),
            _ => say(peer, &answer(id)),
        });
        let instance = hosting(&url, "");
        let mut client = instance.client("far");
        let lost = call(&mut client);
        let message = lost["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(said), "{said}: {lost}");
        assert_eq!(lost["error"]["code"], -31005, "{said}: {lost}");
        eventually("it is served again", LIMIT, || {
            call(&mut client)["result"]["content"][0]["text"] == "done"
        });
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{said}");
    }
}

#[test]
fn what_is_no_message_ends_no_connection() {
    let calls = AtomicUsize::new(0);
    let (url, connections) = scripted(move |peer, id| {
        let pretty = serde_json::to_string_pretty(&answer(id)).expect("JSON");
        let broken = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":");
        let answer = match calls.fetch_add(1, Ordering::SeqCst) {
            1 => Message::text(broken),
            _ => Message::binary(pretty.into_bytes()),
        };
        for frame in [Message::text("just so you know"), answer] {
            peer.send(frame).expect("it is sent");
        }
    });
    let instance = hosting(&url, "");
    let mut client = instance.client("far");
    assert_eq!(call(&mut client)["result"]["content"][0]["text"], "done");
    let broken = call(&mut client);
    let message = broken["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("sent what is no valid message"), "{broken}");
    assert_eq!(call(&mut client)["result"]["content"][0]["text"], "done");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_server_that_says_no_message_is_quoted_when_it_goes() {
    let (url, _) = greeting("welcome to the chat");
    let message = refusal(&hosting(&url, ""));
    let said = "closed the connection (1000); it has said no message of MCP, but \"welcome to the chat\"";
    assert!(message.contains(said), "{message}");
}

/// The same daemon, but started by another one as a server that opens a port of its own.
fn starting(other: &Instance, port: u16) -> Instance {
    let authorization = json!(format!("Bearer {}", other.token()));
    let (command, home) = (json!(program("exai")), json!(other.home()));
    Instance::new(&format!(
        "[servers.far]\ncommand = {command}\nargs = [\"serve\"]\nenv = {{ EXAI_HOME = {home} }}\n\
         url = \"ws://127.0.0.1:{port}/mcp/fix\"\nheaders = {{ Authorization = {authorization} }}\n"
    ))
}

#[test]
fn a_server_that_exai_starts_may_open_a_websocket() {
    let port = free_port();
    let other = listening(port, &fixture("fix", &[]));
    other.ends(0, &["stop"]);
    let instance = starting(&other, port);
    let mut clients = [instance.client("far"), instance.client("far")];
    let pids = clients.each_mut().map(|client| client.call("pid", &json!({})));
    assert_eq!((&pids[0], connected(&other)), (&pids[1], 1), "all clients share one connection");
    assert_eq!(instance.json(&["list", "--json"])["servers"][0]["transport"], "ws");
    let server = other.status()["daemon"]["pid"].as_u64().expect("a pid") as u32;
    let row = instance.status()["servers"][0]["instances"][0].clone();
    assert_eq!(row["pid"], server, "{row}");
    let identity = process::identify(server).expect("the process table").expect("it runs");
    process::kill_verified(&identity, Kill::Force).expect("it can be killed");
    let echo = json!({"name": "echo", "arguments": {"message": "here"}});
    for client in &mut clients {
        eventually("the next one serves", LIMIT, || client.ask("tools/call", &echo)["result"].is_object());
    }
    instance.ends(0, &["stop"]);
    other.ends(exai_proto::exit::NOT_RUNNING.into(), &["status"]);
}

#[test]
fn a_stranger_on_the_port_of_such_a_server_hears_nothing() {
    let port = free_port();
    let other = listening(port, &fixture("fix", &[]));
    other.ends(0, &["stop"]);
    let stranger = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let instance = starting(&other, port);
    let said = refusal(&instance);
    assert!(said.contains("is held by") && said.contains("no process of this server"), "{said}");
    stranger.set_nonblocking(true).expect("it can be asked");
    assert!(stranger.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}
