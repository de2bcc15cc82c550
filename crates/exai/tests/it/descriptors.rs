//! A daemon with few descriptors.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use exai_test::program;
use serde_json::json;

use crate::origin_wire::Origin;
use crate::support::{Instance, text};
use crate::websocket::{FINAL, Next, Raw, TEXT};

/// The daemon's limit of descriptors.
const FEW: usize = 64;

#[test]
fn strangers_leave_the_local_socket_its_descriptors_and_doctor_shows_the_limits_of_the_daemon() {
    let instance = Instance::with_fixture(&[]);
    let mut start = instance.unmanaged("sh");
    start.args(["-c", &format!("ulimit -n {FEW}; exec \"$0\" start")]).arg(program("exai"));
    let start = start.output().expect("sh runs");
    assert!(start.status.success(), "{}", text(&start.stderr));
    let port = instance.port();
    let strangers: Vec<TcpStream> =
        (0..4 * FEW).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it is queued")).collect();
    for _ in 0..5 {
        assert_eq!(instance.status()["state"], "running");
    }
    let mut client = instance.client("fix");
    client.send(&json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"message": "served"}}}));
    assert_eq!(client.receive()["result"]["content"][0]["text"], "served");
    let doctor = text(&instance.exai(&["doctor", "--json"]).stdout);
    let doctor: serde_json::Value = serde_json::from_str(&doctor).expect("a document");
    let checks = doctor["checks"].as_array().expect("checks");
    let limits = checks.iter().find(|check| check["id"] == "limits").expect("the limits");
    let detail = limits["detail"].as_str().expect("words");
    assert!(detail.contains(&format!("open files {FEW},")), "not the daemon's: {detail}");
    assert_eq!(limits["status"], "warn");
    drop(strangers);
}

/// A WebSocket on `/` is open before its client shows the token, so it needs a place of its own among the strangers.
#[test]
fn websockets_that_never_say_hello_make_room_for_clients_with_the_token() {
    const LIMIT_OF_FILES: usize = 256;
    // TCP may have half of the descriptors, and strangers half of that.
    const STRANGERS: usize = LIMIT_OF_FILES / 4;
    let instance = Instance::with_fixture(&[]);
    let mut start = instance.unmanaged("sh");
    start.args(["-c", &format!("ulimit -n {LIMIT_OF_FILES}; exec \"$0\" start")]).arg(program("exai"));
    let start = start.output().expect("sh runs");
    assert!(start.status.success(), "{}", text(&start.stderr));
    let port = instance.port();
    let begun = Instant::now();
    let mut strangers: Vec<Raw> = (0..2 * STRANGERS).map(|_| Raw::open_at(port, "/", "")).collect();
    let mut client = Origin::join(&instance);
    assert_eq!(client.call("fix__echo", &json!({"message": "served"}))["text"], "served");
    let (gone, newest) = strangers.split_at_mut(STRANGERS);
    for stranger in gone {
        assert_eq!(stranger.next(), Next::End);
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "they were not closed for their silence");
    // The newest one may still come in.
    let newest = newest.last_mut().expect("a stranger");
    newest.send(FINAL | TEXT, json!({"op": "hello", "token": instance.token()}).to_string().as_bytes());
    assert_eq!(newest.message()["ok"], true);
}
