//! A daemon with few descriptors.

use std::net::TcpStream;

use exai_test::program;
use serde_json::json;

use crate::support::{Instance, text};

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
