//! `exai shim --url` is the same shim over TCP. It shows its token only to the daemon.

use exai_test::free_port;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture, text};

/// Configures the daemon to use this port, which was free a moment ago.
fn with_port(instance: &Instance, port: u16) {
    let config = format!("[daemon]\nport = {port}\n{}", fixture("fix", &[]));
    std::fs::write(instance.home().join("config.toml"), config).expect("config.toml is written");
}

/// A program on a port that records the bytes it gets.
struct Stranger {
    port: u16,
    heard: Receiver<Vec<u8>>,
}

impl Stranger {
    fn new() -> Self {
        Stranger::at(0)
    }

    /// Listens on this port, or on any free port for 0.
    fn at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let port = listener.local_addr().expect("its address").port();
        let (sender, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut bytes = Vec::new();
                if let Ok(mut stream) = stream {
                    // A connection that sends nothing is closed at some time.
                    let _ = stream.set_read_timeout(Some(LIMIT));
                    let _ = stream.read_to_end(&mut bytes);
                }
                if sender.send(bytes).is_err() {
                    return;
                }
            }
        });
        Stranger { port, heard }
    }

    /// All bytes that the stranger has got so far.
    fn heard(&self) -> String {
        // Connections are handled in order, so this empty one shows that the earlier ones are done.
        drop(TcpStream::connect(("127.0.0.1", self.port)).expect("it listens"));
        let mut all = Vec::new();
        loop {
            let bytes = self.heard.recv_timeout(LIMIT).expect("it hears");
            if bytes.is_empty() {
                return text(&all);
            }
            all.extend(bytes);
        }
    }
}

fn url(port: u16, path: &str) -> String {
    format!("ws://127.0.0.1:{port}{path}")
}

#[test]
fn a_shim_by_url_starts_the_daemon_and_serves_like_any_other() {
    let instance = Instance::with_fixture(&[]);
    let port = free_port();
    with_port(&instance, port);
    let mut one = instance.shim(&["--url", &format!("ws://localhost:{port}/mcp/fix")]);
    one.initialize(&json!({}));
    assert_eq!(one.call("echo", &json!({"message": "hi"})), "hi");
    let long = "lang ".repeat(400_000);
    assert_eq!(one.call("echo", &json!({"message": long})), long);
    // Bytes that are no text do not end the connection.
    one.write(b"\xFF\xFE\n");
    assert_eq!(one.receive()["error"]["code"], -32700);
    assert_eq!(one.call("echo", &json!({"message": "ü"})), "ü");
    let mut all = instance.shim(&["--url", &url(port, "/mcp"), "--client", "label"]);
    all.initialize(&json!({}));
    assert_eq!(all.call("fix__echo", &json!({"message": "both"})), "both");
    let status = instance.status();
    let transports: Vec<&Value> =
        status["clients"].as_array().into_iter().flatten().map(|client| &client["transport"]).collect();
    assert_eq!(transports, ["websocket", "websocket"], "{status}");
    let mut unknown = instance.shim(&["--url", &url(port, "/mcp/nobody")]);
    assert_eq!(unknown.initialize(&json!({}))["error"]["code"], -31006);
}

#[test]
fn it_survives_a_restart_and_leaves_a_stopped_daemon_stopped() {
    let instance = Instance::with_fixture(&[]);
    let port = free_port();
    with_port(&instance, port);
    let mut client = instance.shim(&["--url", &url(port, "/mcp/fix")]);
    client.initialize(&json!({}));
    let before = instance.status()["daemon"]["pid"].clone();
    instance.ends(0, &["restart"]);
    assert_eq!(client.call("echo", &json!({"message": "again"})), "again");
    let after = instance.status()["daemon"]["pid"].clone();
    assert!(before != after && after.is_u64(), "{before} {after}");
    instance.ends(0, &["stop"]);
    assert_eq!(client.ask("tools/list", &json!({}))["error"]["code"], -31001);
    instance.ends(3, &["status"]);
    assert_eq!(client.call("echo", &json!({"message": "needed"})), "needed");
    assert!(instance.status()["daemon"]["pid"].is_u64());
}

#[track_caller]
fn refused(instance: &Instance, stranger: &Stranger) {
    let begun = Instant::now();
    let output = instance.exai(&["shim", "--url", &url(stranger.port, "/mcp")]);
    let took = begun.elapsed();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(5), "{err}");
    assert!(err.contains(&format!("pid {}", std::process::id())), "it names who has the port: {err}");
    assert_eq!(out, "");
    let token = instance.token();
    assert!(!err.contains(&token));
    assert_eq!(stranger.heard(), "", "nothing is said to a stranger");
    eprintln!("a shim refuses a stranger on the port after {took:.2?}, with 0 bytes said");
}

#[test]
fn a_stranger_on_the_port_is_refused_and_never_gets_the_token() {
    let stranger = Stranger::new();
    // This daemon listens on another port.
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    refused(&instance, &stranger);
    // This daemon should listen on the stranger's port. The shim starts it.
    let instance = Instance::with_fixture(&[]);
    with_port(&instance, stranger.port);
    refused(&instance, &stranger);
}

/// The record is a file, so it may belong to another daemon or be forged. (The daemon corrects it within a second.)
#[test]
fn a_stranger_whom_the_record_names_as_the_daemon_never_gets_the_token() {
    let stranger = Stranger::new();
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let path = instance.home().join("daemon.json");
    let mut record: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a record")).expect("a record");
    let me = exai_os::process::current().expect("the process table");
    record["pid"] = json!(me.pid);
    record["identity"] = json!({"boot": me.boot, "pid": me.pid, "start": me.start});
    std::fs::write(&path, record.to_string()).expect("a record");
    refused(&instance, &stranger);
}

#[test]
fn a_url_of_another_port_or_place_is_said_to_be_one() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let wrong = instance.exai(&["shim", "--url", &url(free_port(), "/mcp")]);
    let err = text(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1), "{err}");
    assert!(err.contains(&url(instance.port(), "/mcp")), "it says where the daemon is: {err}");
    for args in [
        &["--url", "wss://127.0.0.1:1/mcp"][..],
        &["--url", "ws://example.com:1/mcp"],
        &["--url", "ws://me:secret@127.0.0.1:1/mcp"],
        &["--url", "ws://127.0.0.1:1/shim"],
        &["--url", "ws://127.0.0.1:1/mcp", "--server", "fix"],
        &["--url"],
    ] {
        let output = instance.exai(&[&["shim"], args].concat());
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {err}");
        assert!(!err.is_empty() && !err.contains("secret"), "{err}");
    }
}

#[test]
fn a_stranger_who_takes_the_port_later_is_named_to_the_client_and_gets_nothing() {
    let instance = Instance::with_fixture(&[]);
    let port = free_port();
    with_port(&instance, port);
    let mut client = instance.shim(&["--url", &url(port, "/mcp/fix")]);
    client.initialize(&json!({}));
    instance.ends(0, &["stop"]);
    let stranger = Stranger::at(port);
    // A call that is written before the shim has noticed that the daemon is gone has an unknown outcome.
    assert_eq!(client.ask("ping", &json!({}))["error"]["code"], -31001);
    // This call starts the daemon again, which works without the port. The answer comes when the shim's patience ends.
    let answer = client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "hi"}}));
    assert_eq!(answer["error"]["code"], -31001, "{answer}");
    let sentence = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(sentence.contains(&format!("pid {}", std::process::id())), "it names who has the port: {answer}");
    assert_eq!(client.ask("tools/list", &json!({}))["error"]["code"], -31001);
    assert_eq!(stranger.heard(), "", "nothing is said to a stranger");
    instance.ends(0, &["stop"]);
    drop(stranger);
}
