//! The watcher looks at processes on a thread of its own, so nothing waits for it.

use std::process::Stdio;

use exai_os::failpoint::{ACTIVE, VARIABLE};
use exai_test::eventually;
use serde_json::json;

use crate::support::{Instance, LIMIT, text};

#[test]
fn calls_are_answered_while_a_look_at_a_process_hangs() {
    if !ACTIVE {
        return;
    }
    let instance = Instance::with_fixture(&[]);
    let said = instance.dir().join("stderr");
    let file = std::fs::File::create(&said).expect("a file");
    let mut serve = instance.command(&["serve"]);
    serve.env(VARIABLE, "watch.looking=hang").stdout(Stdio::null()).stderr(file);
    let mut daemon = serve.spawn().expect("it starts");
    eventually("the daemon runs", LIMIT, || instance.exai(&["status"]).status.success());
    let mut client = instance.client("fix");
    let echo = json!({"name": "echo", "arguments": {"message": "before"}});
    assert!(client.ask("tools/call", &echo)["result"].is_object());
    eventually("the watcher looks", LIMIT, || {
        text(&std::fs::read(&said).unwrap_or_default()).contains("failpoint watch.looking")
    });
    // The watcher is told of every client and server that comes or goes.
    let mut other = instance.client("fix");
    assert!(other.ask("tools/call", &echo)["result"].is_object());
    drop(other);
    assert!(client.ask("tools/call", &echo)["result"].is_object());
    assert_eq!(instance.status()["servers"][0]["state"], "ready");
    daemon.kill().expect("it can be killed");
    daemon.wait().expect("it can be waited for");
}
