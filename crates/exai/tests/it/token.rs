//! `exai token rotate`.

use exai_os::private;
use serde_json::json;

use crate::http::http;
use crate::support::{Client, Instance};

/// The statuses of the daemon's answers to a WebSocket handshake and to a request with this token.
fn judged(port: u16, token: &str) -> (u16, u16) {
    let bearer = format!("Bearer {token}");
    let auth = ("authorization", bearer.as_str());
    let upgrade = [
        auth,
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}});
    let answered =
        http(port, "POST", "/mcp", &[auth, ("content-type", "application/json")], &hello.to_string());
    (http(port, "GET", "/mcp", &upgrade, "").status, answered.status)
}

fn by_url(instance: &Instance) -> Client {
    let url = format!("ws://127.0.0.1:{}/mcp/fix", instance.port());
    let mut client = instance.shim(&["--url", &url]);
    client.initialize(&json!({}));
    client
}

#[test]
fn a_new_token_is_asked_of_who_comes_and_nobody_who_is_there_notices() {
    let instance = Instance::with_fixture(&[]);
    let mut shim = instance.client("fix");
    let mut open = by_url(&instance);
    let pid = shim.call("pid", &json!({}));
    let daemon = instance.status()["daemon"]["pid"].clone();
    let (port, old) = (instance.port(), instance.token());
    assert_eq!(judged(port, &old), (101, 200));

    let said = instance.ends(0, &["token", "rotate"]);
    let new = instance.token();
    assert!(new != old && !said.contains(&new), "a secret is not printed");
    assert_eq!(judged(port, &old), (401, 401));
    assert_eq!(judged(port, &new), (101, 200));
    assert_eq!(shim.call("pid", &json!({})), pid);
    assert_eq!(open.call("pid", &json!({})), pid);
    assert_eq!(
        by_url(&instance).call("pid", &json!({})),
        pid,
        "a shim that comes by URL reads the file anew"
    );
    assert_eq!(instance.status()["daemon"]["pid"], daemon);
    is_private(&instance);

    instance.ends(0, &["restart"]);
    assert_eq!(judged(instance.port(), &new), (101, 200), "it is the next daemon's as well");
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(!log.contains(&new) && !log.contains(&old));
}

#[test]
fn without_a_daemon_the_next_one_has_the_new_token() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["token", "rotate"]);
    let first = instance.token();
    instance.ends(0, &["token", "rotate"]);
    let second = instance.token();
    assert!(first != second);
    is_private(&instance);
    instance.ends(3, &["status"]);
    instance.ends(0, &["start"]);
    assert_eq!(instance.token(), second);
    assert_eq!(judged(instance.port(), &second), (101, 200));
    assert_eq!(judged(instance.port(), &first), (401, 401));
}

/// exai refuses to read a token file that other accounts could read.
#[track_caller]
fn is_private(instance: &Instance) {
    let file = instance.home().join("token");
    private::read(&file, 1024).expect("a private file");
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
