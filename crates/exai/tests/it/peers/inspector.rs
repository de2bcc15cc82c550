//! The MCP Inspector's command line in each of its eras: through exai it has the same answers, or refusals, as directly.

use std::process::Stdio;
use std::time::Duration;

use exai_test::{peers, program, with_token};
use serde_json::{Value, json};

use crate::support::Instance;

/// The eras of servers, and the names under which exai hosts them.
const SERVERS: [&str; 2] = ["legacy", "modern"];

/// What the Inspector has of a call to a server; `None` where it gave up.
fn inspect(era: &str, target: &[String], instance: &Instance) -> Option<Value> {
    let mut command = peers::node("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    command.args(["--cli", "--protocol-era", era, "--format", "json", "--quiet"]);
    command.args(["--method", "tools/call", "--tool-name", "test_simple_text"]);
    command.args(["--connect-timeout", &Duration::from_secs(20).as_millis().to_string()]);
    // It keeps a catalogue in the home directory, and gives a server no variables but these.
    command.env("HOME", instance.dir());
    command.arg("-e").arg(format!("EXAI_HOME={}", instance.home().display()));
    let output = command.args(target).stdin(Stdio::null()).output().expect("the Inspector starts");
    if !output.status.success() {
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).expect("a document"))
}

fn configuration(era: &str) -> String {
    let (command, era) = (json!(program("suite-server")), json!(era));
    format!("[servers.{era}]\ncommand = {command}\nargs = [\"--era\", {era}]\n")
}

#[test]
fn the_inspector_in_each_era_has_the_same_of_each_server() {
    let instance = Instance::new(&SERVERS.map(configuration).concat());
    instance.ends(0, &["start"]);
    let base = format!("http://127.0.0.1:{}/mcp", with_token(instance.port(), &instance.token()));
    let text = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let suite = program("suite-server").display().to_string();
    let exai = program("exai").display().to_string();
    for server in SERVERS {
        let shim = text(&[&exai, "--", "shim", "--server", server]);
        let http = text(&["--transport", "http", "--server-url", &format!("{base}/{server}")]);
        for era in ["legacy", "auto", "modern"] {
            // exai serves clients of the legacy era at a server that does not.
            let plays = if server == "modern" && era == "legacy" { "dual" } else { server };
            let direct = inspect(era, &text(&[&suite, "--", "--era", plays]), &instance);
            assert_eq!(direct.is_some(), (server, era) != ("legacy", "modern"), "{era} at {server}");
            for (way, target) in [("the shim", &shim), ("HTTP", &http)] {
                let through = inspect(era, target, &instance);
                assert_eq!(through, direct, "the Inspector ({era}) at {server} over {way}");
            }
        }
    }
}
