//! The content of the daemon's log, and the limit of its size.

use std::io::Write as _;

use exai_test::eventually;
use serde_json::json;

use crate::support::{Instance, LIMIT};

const LARGEST: u64 = 10 * 1024 * 1024;

fn log(instance: &Instance) -> String {
    std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log")
}

#[test]
fn it_is_set_aside_while_the_daemon_runs_and_goes_on_in_another() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    instance.ends(0, &["stop"]);
    let path = instance.home().join("log/daemon.log");
    // Leaves room for the lines of one start and for little more.
    let filling = vec![b'x'; (LARGEST - 4096) as usize - log(&instance).len()];
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("a log");
    file.write_all(&filling).expect("there is room");
    file.write_all(b"\n").expect("there is room");
    instance.ends(0, &["start"]);
    let before = path.with_extension("log.1");
    let mut clients = 0;
    eventually("the log is set aside", LIMIT, || {
        drop(instance.client("fix"));
        clients += 1;
        before.exists()
    });
    drop(instance.client("fix"));
    eventually("the last client is gone", LIMIT, || log(&instance).matches("client gone").count() > 0);
    let sizes = [&path, &before].map(|path| path.metadata().expect("a file").len());
    assert!(sizes[0] < 64 * 1024 && (LARGEST - 4096..=LARGEST).contains(&sizes[1]), "{sizes:?}");
    assert!(clients < 100, "{clients} clients fit into 4 KiB");
}

#[test]
fn it_names_clients_with_their_process_and_no_visit_of_the_command_line() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let mut client = instance.shim(&["--server", "fix", "--client", "label\n2026-01-01 forged"]);
    client.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": format!("name\nforged {}", "x".repeat(5000)), "version": "7.7"}}}));
    client.receive();
    for _ in 0..3 {
        instance.status();
        instance.ends(0, &["ps"]);
    }
    let log = log(&instance);
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("client ")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    let pid = format!("pid={}", client.pid());
    assert!(lines[0].contains("client connected") && lines[0].contains(&pid), "{}", lines[0]);
    assert!(lines[1].contains("introduced itself") && lines[1].contains("7.7"), "{}", lines[1]);
    assert!(lines[1].contains(&pid) && lines[1].len() < 400, "{}", lines[1]);
    assert!(!log.lines().any(|line| line.starts_with("forged") || line.starts_with("2026-01-01")), "{log}");
}
