//! A private instance of exai, and a client that talks to a shim line by line.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use exai_test::{eventually, program};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest time that any step may take. Under Wine each system call goes through one single process, which is slow
/// on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(if cfg!(windows) { 90 } else { 30 });

/// A state directory of its own. The daemon that runs in it ends when this is dropped.
pub(crate) struct Instance {
    dir: TempDir,
}

impl Instance {
    /// An instance with this configuration, whose daemon listens on any free port.
    pub(crate) fn new(servers: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let instance = Instance { dir };
        std::fs::create_dir(instance.home()).expect("a state directory");
        instance.configure(servers);
        instance
    }

    /// An instance with one fixture server named `fix`, started with these switches.
    pub(crate) fn with_fixture(switches: &[&str]) -> Self {
        Instance::new(&fixture("fix", switches))
    }

    pub(crate) fn configure(&self, servers: &str) {
        let text = format!("[daemon]\nport = 0\n{servers}");
        // In one step: a daemon that looks must not find half a file.
        let file = self.home().join("config.toml");
        exai_os::private::write_atomic(&file, text.as_bytes()).expect("config.toml is written");
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A directory for the files of the test.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("exai"));
        command.args(args).env("EXAI_HOME", self.home()).stdin(Stdio::null());
        // No test leaves anything in the keyring of whoever runs it.
        command.env("EXAI_KEYRING", "off");
        command
    }

    /// A command that can reach no service manager, so that it starts the daemon itself even in a control group that
    /// may be ended.
    pub(crate) fn unmanaged(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("EXAI_HOME", self.home()).env("XDG_RUNTIME_DIR", self.dir()).stdin(Stdio::null());
        command.env("EXAI_KEYRING", "off");
        command
    }

    pub(crate) fn exai(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("exai runs")
    }

    /// Runs a command that must end with `code`, and returns its stdout.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.exai(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "exai {args:?}\nstdout: {out}\nstderr: {err}");
        out
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let out = self.ends(0, args);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    pub(crate) fn status(&self) -> Value {
        self.json(&["status", "--json"])
    }

    /// The port on which the daemon listens.
    pub(crate) fn port(&self) -> u16 {
        let status = self.status();
        let listeners = status["daemon"]["listeners"].as_array().expect("listeners");
        let addr = listeners
            .iter()
            .filter_map(|listener| listener["addr"].as_str())
            .find_map(|addr| addr.strip_prefix("127.0.0.1:"));
        addr.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {status}"))
    }

    /// The resident memory of the daemon, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let pid = self.status()["daemon"]["pid"].as_u64().expect("a pid");
        resident(u32::try_from(pid).expect("a pid"))
    }

    pub(crate) fn token(&self) -> String {
        let text = std::fs::read_to_string(self.home().join("token")).expect("a token");
        text.trim().to_owned()
    }

    pub(crate) fn shim(&self, args: &[&str]) -> Client {
        let mut all = vec!["shim"];
        all.extend(args);
        Client::start(self.command(&all))
    }

    /// Waits until these servers have started and listed their tools: a list of all servers does not wait long for one that
    /// starts.
    #[track_caller]
    pub(crate) fn know(&self, servers: &[&str]) {
        for server in servers {
            self.ends(0, &["tools", server]);
        }
    }

    /// A shim for one server that has sent `initialize`.
    pub(crate) fn client(&self, server: &str) -> Client {
        let mut client = self.shim(&["--server", server]);
        client.initialize(&json!({}));
        client
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = std::fs::read_to_string(self.home().join("log/daemon.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the daemon's log, newest first:\n{}", tail.join("\n"));
        }
        // The command also succeeds when no daemon runs.
        let _ = self.exai(&["stop", "--timeout", "0"]);
    }
}

/// The resident memory of a living process, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let all = exai_os::process::snapshot().expect("the process table");
    all.iter().find(|one| one.pid == pid).expect("it lives").rss_bytes
}

/// The configuration of a fixture server.
pub(crate) fn fixture(name: &str, switches: &[&str]) -> String {
    let command = program("fixture-server");
    format!("[servers.{name}]\ncommand = {}\nargs = {}\n", json!(command), json!(switches))
}

/// The `command` and `args` of a server behind a shell that runs `script`. On Windows the shell is that of batch files,
/// as for most launchers there, and runs `batch`, which does the same. `FIXTURE` stands for the path of the fixture
/// server.
pub(crate) fn behind_a_shell(dir: &Path, script: &str, batch: &str) -> String {
    let fixture = program("fixture-server").display().to_string();
    if !cfg!(windows) {
        let script = script.replace("FIXTURE", &format!("'{fixture}'"));
        return format!("command = \"sh\"\nargs = {}\n", json!(["-c", script]));
    }
    let file = dir.join("launcher.cmd");
    let batch = batch.replace("FIXTURE", &format!("\"{fixture}\"")).replace('\n', "\r\n");
    std::fs::write(&file, format!("@echo off\r\n{batch}\r\n")).expect("a batch file");
    format!("command = {}\n", json!(file))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An MCP client that talks to a command over stdio.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    next_id: u64,
}

impl Client {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Client { input: child.stdin.take(), child, lines, next_id: 1 }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().expect("stdin is open").write_all(bytes).expect("the shim reads");
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// The next message on stdout.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Value {
        let line = self.lines.recv_timeout(LIMIT).expect("a message in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} on stdout: {line}"))
    }

    /// The next line on stdout, unparsed.
    #[track_caller]
    pub(crate) fn receive_line(&mut self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a message in time")
    }

    /// The next message on stdout; `None` if none comes within this time.
    pub(crate) fn receive_within(&mut self, time: Duration) -> Option<Value> {
        let line = self.lines.recv_timeout(time).ok()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} on stdout: {line}")))
    }

    /// The answer to the request with this id. Messages before it are dropped.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let message = self.receive();
            if message.get("method").is_none() && message["id"] == *id {
                return message;
            }
        }
        panic!("no answer to {id}");
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.request(method, params);
        self.answer(&id)
    }

    /// Sends a request and returns its id.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = json!(self.next_id);
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Calls a tool and returns the text of its result.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> String {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        let text = answer["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("{tool}: {answer}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn initialize(&mut self, capabilities: &Value) -> Value {
        let params = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": capabilities,
            "clientInfo": {"name": "test", "version": "1"},
        });
        let answer = self.ask("initialize", &params);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    /// Waits until the shim has passed on what was sent to it: it refuses a line that is too long itself, and does so after
    /// it has written what came before that line.
    #[track_caller]
    pub(crate) fn flush(&mut self) {
        self.write(&vec![b'x'; 33 << 20]);
        self.write(b"\n");
        let refused = self.receive();
        assert_eq!(refused["error"]["code"], -31007, "{refused}");
    }

    /// Kills the process.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Closes stdin and waits until the process ends; returns how long that took.
    pub(crate) fn finish(mut self) -> Duration {
        let start = Instant::now();
        drop(self.input.take());
        eventually("the client's process ends", LIMIT, || {
            self.child.try_wait().expect("it can be waited for").is_some()
        });
        start.elapsed()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number from an environment variable with which a person controls the test.
pub(crate) fn switch(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a switch of a test, not of the product")]
    let given = std::env::var(name).ok();
    given.map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Adds to the parameters of a request what each request of MCP 2026-07-28 says of its client.
pub(crate) fn add_modern_meta(params: &mut Value, name: &str, capabilities: Value) {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientInfo"] = json!({"name": name, "version": "1"});
    meta["io.modelcontextprotocol/clientCapabilities"] = capabilities;
}
