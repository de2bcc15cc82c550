//! Trees of npx and of Python.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const NODE_SERVER: &str = r#"#!/usr/bin/env node
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method } = JSON.parse(line);
  const pid = { content: [{ type: "text", text: String(process.pid) }] };
  process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result: method === "ping" ? {} : pid }) + "\n");
});
"#;

#[tokio::test]
async fn npx() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("node_modules/.bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(folder.path().join("package.json"), r#"{"name":"x","version":"1.0.0"}"#).unwrap();
    fs::write(bin.join("node-server"), NODE_SERVER).unwrap();
    fs::set_permissions(bin.join("node-server"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut tree = Tree::start("npx", &["--no", "--", "node-server"], folder.path()).await;
    // The structure alone leads to the same roles as the counters do.
    assert_eq!(roles(&tree.judge(None)), "npm exec launcher npx, sh launcher shell, node server?");
    let found = tree.is("npm exec launcher npx, sh launcher shell, node server!").await;
    assert_eq!(
        found.explanation.unwrap(),
        format!(
            "3 processes, 1 server (node, pid {}): npm exec is the npx launcher, sh a shell",
            found.server.unwrap()
        )
    );
}

/// Starts a child that inherits the stdio, and waits for it.
const WRAPPER: &str = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))";

/// Passes every line on in both directions, through pipes of its own to its child.
const SPY: &str = "
import subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def back():
    for line in child.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
threading.Thread(target=back, daemon=True).start()
for line in sys.stdin.buffer:
    child.stdin.write(line)
    child.stdin.flush()
";

/// A server that starts a child with the same stdio and keeps it running.
const SERVER: &str = r#"
import json, os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
for line in sys.stdin:
    message = json.loads(line)
    pid = {"content": [{"type": "text", "text": str(os.getpid())}]}
    result = {} if message["method"] == "ping" else pid
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

async fn python(script: &str) -> Tree {
    let folder = tempfile::tempdir().unwrap();
    Tree::start("python3", &["-c", script, &fixture()], folder.path()).await
}

#[tokio::test]
async fn python_scripts_that_start_a_server() {
    let found = python(WRAPPER).await.is("python3 launcher ?, fixture-server server!").await;
    assert!(found.processes[1].evidence.contains(&"above the server".to_owned()));
    python(SPY).await.is("python3 launcher relay, fixture-server server!").await;
}

#[tokio::test]
async fn a_python_server_stays_it() {
    python(SERVER).await.is("python3 server!, python3 helper").await;
}
