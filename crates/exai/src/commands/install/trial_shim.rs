//! A shim that is started as a client starts it, to be asked a few things.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use exai_proto::last_connections::TRIAL_CLIENT_NAME;
use exai_setup::client::Launch;
use serde_json::{Value, json};

/// A shim that ends with this value.
pub(super) struct TrialShim {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    last_id: u32,
    end: Instant,
}

impl Drop for TrialShim {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl TrialShim {
    /// Starts a shim and introduces itself. All answers must come before `end`.
    pub(super) fn start(launch: &Launch, end: Instant) -> Result<Self, String> {
        let mut command = Command::new(&launch.program);
        command
            .args(launch.args())
            .envs(launch.env())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| format!("{} cannot be started: {error}", launch.program))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
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
        let mut shim = TrialShim { child, input, lines, last_id: 0, end };
        let hello = json!({"protocolVersion": exai_proto::version::NEWEST_LEGACY, "capabilities": {},
            "clientInfo": {"name": TRIAL_CLIENT_NAME, "version": env!("CARGO_PKG_VERSION")}});
        shim.ask("initialize", &hello)?;
        Ok(shim)
    }

    /// How many tools there are, on all pages of the list.
    pub(super) fn count_tools(&mut self) -> Result<usize, String> {
        let mut tools = 0;
        let mut params = json!({});
        loop {
            let listed = self.ask("tools/list", &params)?;
            tools += listed["tools"].as_array().map_or(0, Vec::len);
            match &listed["nextCursor"] {
                Value::String(cursor) if Instant::now() < self.end => params = json!({"cursor": cursor}),
                _ => return Ok(tools),
            }
        }
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.last_id += 1;
        let id = json!(self.last_id);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(self.input, "{request}").map_err(|error| error.to_string())?;
        loop {
            let wait = self.end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let line =
                self.lines.recv_timeout(wait).map_err(|_| format!("it did not answer `{method}` in time"))?;
            let message: Value = serde_json::from_str(&line)
                .map_err(|_| "it wrote something that is no message".to_owned())?;
            if message["id"] == id {
                return match message.get("result") {
                    Some(result) => Ok(result.clone()),
                    None => Err(message["error"]["message"]
                        .as_str()
                        .unwrap_or("an error without words")
                        .to_owned()),
                };
            }
        }
    }
}
