//! Tries an entry that was just written: starts it as the client will, and asks for the tools.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use exai_setup::client::{Client, Launch};
use serde_json::{Value, json};

use super::super::count;
use crate::error::Error;
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::printer::Printer;

/// Says what the client will see. An entry that does not work is a warning: the file is right, and the cause is elsewhere.
pub(super) fn report(client: &Client, launch: &Launch, printer: &Printer) -> Result<(), Error> {
    printer.progress(&format!("starting exai as {} will…", client.display_name));
    let tried = count_tools(launch);
    printer.clear_progress();
    match tried {
        Ok(tools) => printer.line(&format!("{} will see {}", client.display_name, count(tools, "tool"))),
        Err(why) => {
            printer.warn(&format!("the entry does not work yet: {why}"));
            printer.hint("`exai doctor` says why");
            Ok(())
        }
    }
}

/// A process that ends with this value.
struct Shim(Child);

impl Drop for Shim {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn count_tools(launch: &Launch) -> Result<usize, String> {
    let mut command = Command::new(&launch.program);
    command
        .args(launch.args())
        .envs(launch.env())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let child = command.spawn().map_err(|error| format!("{} cannot be started: {error}", launch.program))?;
    let mut shim = Shim(child);
    let (Some(mut input), Some(output)) = (shim.0.stdin.take(), shim.0.stdout.take()) else {
        return Err("it has no pipes".to_owned());
    };
    let (sender, lines) = mpsc::sync_channel(16);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let end = Instant::now() + HANDSHAKE_TIMEOUT;
    let mut ask = |id: u32, method: &str, params: Value| {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(input, "{request}").map_err(|error| error.to_string())?;
        loop {
            let wait = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let line =
                lines.recv_timeout(wait).map_err(|_| format!("it did not answer `{method}` in time"))?;
            let message: Value = serde_json::from_str(&line)
                .map_err(|_| "it wrote something that is no message".to_owned())?;
            if message["id"] == json!(id) {
                return match message.get("result") {
                    Some(result) => Ok(result.clone()),
                    None => Err(message["error"]["message"]
                        .as_str()
                        .unwrap_or("an error without words")
                        .to_owned()),
                };
            }
        }
    };
    let hello = json!({"protocolVersion": exai_proto::version::NEWEST_LEGACY, "capabilities": {},
        "clientInfo": {"name": "exai install", "version": env!("CARGO_PKG_VERSION")}});
    ask(1, "initialize", hello)?;
    let listed = ask(2, "tools/list", json!({}))?;
    Ok(listed["tools"].as_array().map_or(0, Vec::len))
}
